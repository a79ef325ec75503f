package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
)

// idleMax is how long a stream may be silent before it counts as broken. A feed has a heartbeat every ten seconds; a list is
// only ever as slow as its reader, who does not read while it works.
const idleMax = 30 * time.Second

// stream is the body of an answer that goes on for as long as both sides like.
type stream struct {
	header http.Header
	body   io.ReadCloser
	idle   *time.Timer
	cancel context.CancelFunc
}

// open begins a stream at the host that serves; one attempt.
func (c *Client) open(ctx context.Context, path string, query url.Values, accept string) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	idle := time.AfterFunc(idleMax, cancel)
	host := c.serving()
	what := call{method: http.MethodGet, path: path, query: query, header: http.Header{"Accept": {accept}}}
	response, err := c.send(ctx, host, what)
	if err == nil && response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, answerMax))
		response.Body.Close()
		err = problemOf(response, body)
	}
	if err != nil {
		idle.Stop()
		cancel()
		if isPassing(err) {
			c.passOver(host)
		}
		return nil, err
	}
	return &stream{header: response.Header, body: response.Body, idle: idle, cancel: cancel}, nil
}

// Read reads on, for as long as the host is not silent for too long.
func (s *stream) Read(into []byte) (int, error) {
	s.idle.Reset(idleMax)
	n, err := s.body.Read(into)
	s.idle.Stop()
	return n, err
}

// Close ends the stream on both sides.
func (s *stream) Close() {
	s.idle.Stop()
	s.cancel()
	s.body.Close()
}
