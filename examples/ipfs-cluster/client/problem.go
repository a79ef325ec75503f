package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Codes of problems that callers act on.
const (
	codeNotFound       = "NOT_FOUND"
	codeVersionChanged = "VERSION_CHANGED"
	codeCursorTooOld   = "CURSOR_TOO_OLD"
	codeCursorInFuture = "CURSOR_IN_FUTURE"
)

// What callers may ask of an error with errors.Is.
var (
	// ErrNotFound: there is no such pin.
	ErrNotFound = errors.New("there is no such pin")
	// ErrVersionChanged: the condition of a write does not hold.
	ErrVersionChanged = errors.New("the pin has another version")
	// ErrCursorTooOld: the feed no longer has what came after the cursor; list, and follow from the list's cursor on.
	ErrCursorTooOld = errors.New("the feed no longer goes back to this cursor")
	// ErrCursorInFuture: the cursor is of another store.
	ErrCursorInFuture = errors.New("this store never gave that cursor")
)

// Problem is a host's answer that is none (RFC 9457).
type Problem struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`

	retryAfter time.Duration
}

// Error says what the host said.
func (p *Problem) Error() string {
	text := fmt.Sprintf("the host answered %d %s", p.Status, p.Code)
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.RequestID != "" {
		text += " (request " + p.RequestID + ")"
	}
	return text
}

// Is tells the problems apart that callers act on.
func (p *Problem) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return p.Code == codeNotFound
	case ErrVersionChanged:
		return p.Code == codeVersionChanged
	case ErrCursorTooOld:
		return p.Code == codeCursorTooOld
	case ErrCursorInFuture:
		return p.Code == codeCursorInFuture
	}
	return false
}

// isPassing says whether another host, or the same one later, may do better.
func (p *Problem) isPassing() bool {
	switch p.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// broken is a connection that was not made or did not last.
type broken struct{ cause error }

func (b *broken) Error() string { return b.cause.Error() }
func (b *broken) Unwrap() error { return b.cause }

func isPassing(err error) bool {
	var b *broken
	if errors.As(err, &b) {
		return true
	}
	problem, ok := asProblem(err)
	return ok && problem.isPassing()
}

func asProblem(err error) (*Problem, bool) {
	var problem *Problem
	ok := errors.As(err, &problem)
	return problem, ok
}

// problemOf reads a problem; a body that is none (a proxy's, say) is not repeated.
func problemOf(response *http.Response, body []byte) *Problem {
	problem := &Problem{}
	if err := json.Unmarshal(body, problem); err != nil {
		problem = &Problem{}
	}
	problem.Status = response.StatusCode
	if problem.Code == "" && problem.Status == http.StatusNotFound && response.Request.Method == http.MethodHead {
		// An answer to HEAD has no body to tell it.
		problem.Code = codeNotFound
	}
	problem.retryAfter = retryAfter(response.Header)
	return problem
}
