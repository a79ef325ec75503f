package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

const changesPath = "/v1/state/changes"

// Cursor is a place in the change feed. Everything before it has been seen by whoever keeps it.
type Cursor uint64

// Event is a line of the change feed. With a CID it says that this pin has changed, without one only that the cursor moved.
type Event struct {
	Cursor Cursor
	Cid    api.Cid
	// Version of the pin; 0 if it is gone.
	Version uint64
	// Pin is the pin as it is now, nil if it is gone.
	Pin *api.Pin
}

// feedLine is a line of the feed on the wire.
type feedLine struct {
	Cursor    uint64   `json:"cursor"`
	Cid       api.Cid  `json:"cid"`
	Version   uint64   `json:"version"`
	Pin       *api.Pin `json:"pin"`
	Heartbeat *uint64  `json:"heartbeat"`
	Error     *Problem `json:"error"`
}

// Head is where the feed ends now.
func (c *Client) Head(ctx context.Context) (Cursor, error) {
	what := call{
		method: http.MethodGet, path: changesPath, query: url.Values{"after": {"head"}},
		header: http.Header{"Accept": {typeJSON}},
	}
	got, err := c.do(ctx, what)
	if err != nil {
		return 0, err
	}
	var said struct {
		Head *uint64 `json:"head"`
	}
	if err := json.Unmarshal(got.body, &said); err != nil || said.Head == nil {
		return 0, errors.New("the host did not say where its feed ends")
	}
	return Cursor(*said.Head), nil
}

// Follow gives every change after a cursor to `each`, in order per CID and at least once, until the context ends or `each` or
// the feed fails: ErrCursorTooOld and ErrCursorInFuture ask for a list. Broken connections and hosts that stop are gone over by
// itself, without end: a peer without its feed has nothing better to do than to come back to it.
func (c *Client) Follow(ctx context.Context, after Cursor, each func(Event) error) error {
	place := following{cursor: after, each: each}
	for failures := 0; ; {
		before := place.cursor
		err := place.read(ctx, c)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !isPassing(err):
			return err
		}
		if place.cursor > before {
			failures = 0
		}
		failures++
		if err := sleep(ctx, pause(failures, err)); err != nil {
			return err
		}
	}
}

type following struct {
	cursor Cursor
	each   func(Event) error
}

// read follows one stream to its end, which is always an error.
func (f *following) read(ctx context.Context, c *Client) error {
	query := url.Values{"after": {strconv.FormatUint(uint64(f.cursor), 10)}}
	stream, err := c.open(ctx, changesPath, query, typeNDJSON)
	if err != nil {
		return err
	}
	defer stream.Close()
	lines := json.NewDecoder(stream)
	for {
		var line feedLine
		if err := lines.Decode(&line); err != nil {
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) {
				return fmt.Errorf("a line of the feed cannot be read: %w", err)
			}
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return &broken{err}
		}
		if err := f.take(line); err != nil {
			return err
		}
	}
}

func (f *following) take(line feedLine) error {
	event := Event{Cursor: Cursor(line.Cursor), Cid: line.Cid, Version: line.Version, Pin: line.Pin}
	switch {
	case line.Error != nil:
		return line.Error
	case line.Heartbeat != nil:
		event = Event{Cursor: Cursor(*line.Heartbeat)}
	case !line.Cid.Defined():
		// A line of a kind that is not known yet.
		return nil
	}
	if err := f.each(event); err != nil {
		return err
	}
	f.cursor = event.Cursor
	return nil
}
