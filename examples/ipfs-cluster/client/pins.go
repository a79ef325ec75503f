package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

const (
	pinsPath     = "/v1/state/pins"
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
	typeNDJSON   = "application/x-ndjson"
)

// Versioned is a pin as the store has it.
type Versioned struct {
	api.Pin
	// Version grows with every change of the pin and never comes back.
	Version uint64
}

// Condition is what must hold for a write to be made. The zero value asks nothing: the last write wins.
type Condition struct {
	version uint64
	absent  bool
}

// IfVersion asks that the pin still has the version that was read.
func IfVersion(version uint64) Condition { return Condition{version: version} }

// IfAbsent asks that there is no such pin yet.
func IfAbsent() Condition { return Condition{absent: true} }

func (c Condition) header() http.Header {
	header := http.Header{}
	switch {
	case c.absent:
		header.Set("If-None-Match", "*")
	case c.version > 0:
		header.Set("If-Match", strconv.Quote(strconv.FormatUint(c.version, 10)))
	}
	return header
}

// Get answers a pin, or ErrNotFound. Calls that are made at the same time may go in one request.
func (c *Client) Get(ctx context.Context, cid api.Cid) (Versioned, error) {
	if !cid.Defined() {
		return Versioned{}, errors.New("a read without a CID")
	}
	return c.reads.do(ctx, cid)
}

// read reads one pin in a request of its own.
func (c *Client) read(ctx context.Context, cid api.Cid) (Versioned, error) {
	header := http.Header{"Accept": {typeProtobuf}}
	got, err := c.do(ctx, call{method: http.MethodGet, path: pinPath(cid), header: header})
	if err != nil {
		return Versioned{}, err
	}
	pin := Versioned{}
	if err := pin.ProtoUnmarshal(got.body); err != nil {
		return Versioned{}, fmt.Errorf("the pin %s cannot be read: %w", cid, err)
	}
	pin.Cid = cid
	pin.Version, err = versionOf(got.header)
	return pin, err
}

// Has says whether there is a pin.
func (c *Client) Has(ctx context.Context, cid api.Cid) (bool, error) {
	_, err := c.do(ctx, call{method: http.MethodHead, path: pinPath(cid)})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Put writes a pin and answers its new version; it is durable then. ErrVersionChanged if the condition does not hold. Calls that
// are made at the same time may go in one request, which changes nothing for any of them.
func (c *Client) Put(ctx context.Context, pin api.Pin, when Condition) (uint64, error) {
	return c.writes.do(ctx, Change{Pin: pin, When: when})
}

// Delete removes a pin; one that is not there is fine. ErrVersionChanged if the condition does not hold.
func (c *Client) Delete(ctx context.Context, cid api.Cid, when Condition) error {
	_, err := c.writes.do(ctx, Change{Pin: api.PinCid(cid), Delete: true, When: when})
	return err
}

// write makes one change in a request of its own.
func (c *Client) write(ctx context.Context, change Change) (uint64, error) {
	if change.Delete {
		return 0, c.remove(ctx, change.Pin.Cid, change.When)
	}
	return c.put(ctx, change.Pin, change.When)
}

func (c *Client) put(ctx context.Context, pin api.Pin, when Condition) (uint64, error) {
	body, err := pin.ProtoMarshal()
	if err != nil {
		return 0, fmt.Errorf("the pin %s cannot be written: %w", pin.Cid, err)
	}
	header := when.header()
	header.Set("Content-Type", typeProtobuf)
	what := call{method: http.MethodPut, path: pinPath(pin.Cid), header: header, body: body}
	got, err := c.do(ctx, what)
	if err == nil {
		return versionOf(got.header)
	}
	if got.repeated && errors.Is(err, ErrVersionChanged) {
		return c.settle(ctx, Change{Pin: pin, When: when}, err)
	}
	return 0, err
}

// settle looks whether a change was made whose repetition met another version: an attempt whose answer was lost may have been the
// one that made it. If not, it stays at that error.
func (c *Client) settle(ctx context.Context, change Change, said error) (uint64, error) {
	now, err := c.read(ctx, change.Pin.Cid)
	switch {
	case change.Delete && errors.Is(err, ErrNotFound):
		return 0, nil
	case change.Delete || err != nil:
		return 0, said
	}
	if body, err := change.Pin.ProtoMarshal(); err != nil || !isWritten(now.Pin, body) {
		return 0, said
	}
	return now.Version, nil
}

func (c *Client) remove(ctx context.Context, cid api.Cid, when Condition) error {
	what := call{method: http.MethodDelete, path: pinPath(cid), header: when.header()}
	got, err := c.do(ctx, what)
	if got.repeated && errors.Is(err, ErrVersionChanged) {
		_, err = c.settle(ctx, Change{Pin: api.PinCid(cid), Delete: true}, err)
	}
	return err
}

func isWritten(now api.Pin, body []byte) bool {
	stored, err := now.ProtoMarshal()
	return err == nil && bytes.Equal(stored, body)
}

func pinPath(cid api.Cid) string { return pinsPath + "/" + cid.String() }

func versionOf(header http.Header) (uint64, error) {
	tag := strings.Trim(strings.TrimPrefix(header.Get("ETag"), "W/"), `"`)
	version, err := strconv.ParseUint(tag, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the host gave no version (ETag %q)", header.Get("ETag"))
	}
	return version, nil
}
