package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Pauses between the attempts of a call: doubled each time, half of each by chance, so that peers do not come back together.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// answerMax is more than the largest pin (10 MiB) with what is around it.
const answerMax = 16 << 20

// call is a request that can be sent as often as needed.
type call struct {
	method string
	path   string
	query  url.Values
	header http.Header
	body   []byte
}

// answer is what a host said, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
	// repeated says that an attempt before this one may have taken effect without our hearing of it.
	repeated bool
}

// do sends a call until a host has answered it for good, an attempt at a time, each at the host that serves. Whether it was
// repeated is told with an error too.
func (c *Client) do(ctx context.Context, what call) (answer, error) {
	var last error
	for attempt := 0; attempt < c.attempts; attempt++ {
		if attempt > 0 {
			if err := sleep(ctx, pause(attempt, last)); err != nil {
				return answer{}, fmt.Errorf("%w (the last attempt: %w)", err, last)
			}
		}
		host := c.serving()
		got, err := c.attempt(ctx, host, what)
		got.repeated = attempt > 0
		switch {
		case err == nil:
			return got, nil
		case ctx.Err() != nil:
			return got, ctx.Err()
		case !isPassing(err):
			return got, err
		}
		last = err
		c.passOver(host)
	}
	return answer{}, fmt.Errorf("no host answered %s %s in %d attempts: %w", what.method, what.path, c.attempts, last)
}

func (c *Client) attempt(ctx context.Context, host uint32, what call) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	response, err := c.send(ctx, host, what)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := wholeBody(response)
	if err != nil {
		return answer{}, &broken{err}
	}
	if response.StatusCode >= http.StatusBadRequest {
		return answer{}, problemOf(response, body)
	}
	return answer{status: response.StatusCode, header: response.Header, body: body}, nil
}

// wholeBody reads an answer to its end, into memory made at once for as much as it says that it is long.
func wholeBody(response *http.Response) ([]byte, error) {
	var body bytes.Buffer
	if response.Body != http.NoBody && response.ContentLength >= 0 {
		body.Grow(int(min(response.ContentLength, answerMax)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(io.LimitReader(response.Body, answerMax))
	return body.Bytes(), err
}

func (c *Client) send(ctx context.Context, host uint32, what call) (*http.Response, error) {
	target := c.hosts[host] + what.path
	if len(what.query) > 0 {
		target += "?" + what.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, what.method, target, bytes.NewReader(what.body))
	if err != nil {
		return nil, err
	}
	for name, values := range what.header {
		request.Header[name] = values
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, &broken{err}
	}
	return response, nil
}

// pause is how long to wait before an attempt; what the host asked for counts, within bounds.
func pause(attempt int, last error) time.Duration {
	step := lastPause
	if attempt < 6 {
		step = min(firstPause<<(attempt-1), lastPause)
	}
	step = step/2 + rand.N(step/2+1)
	if problem, ok := asProblem(last); ok && problem.retryAfter > step {
		step = min(problem.retryAfter, lastPause)
	}
	return step
}

func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
