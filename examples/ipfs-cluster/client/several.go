package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"google.golang.org/protobuf/encoding/protowire"
)

// readMax is how many pins are asked for at once, half of what a host takes.
const readMax = 500

// streamedAbsent is the field that says of a CID that there is no pin.
const streamedAbsent = 1004

// readSeveral reads pins in as few requests as their answers fit into, and answers each in its place.
func (c *Client) readSeveral(ctx context.Context, cids []api.Cid) ([]outcome[Versioned], error) {
	outcomes := make([]outcome[Versioned], 0, len(cids))
	for len(outcomes) < len(cids) {
		asked := cids[len(outcomes):]
		read, err := c.ask(ctx, asked, outcomes)
		if isRefusal(err) {
			return append(outcomes, each(ctx, asked, c.read)...), nil
		}
		if err != nil {
			return nil, err
		}
		if len(read) == len(outcomes) {
			return nil, errors.New("the host answered none of the reads")
		}
		outcomes = read
	}
	return outcomes, nil
}

// cidBytes is about what a CID takes in a request.
const cidBytes = 40

// ask sends one request and appends its answer, which is of the first of the CIDs, and of all if it did not grow too large.
func (c *Client) ask(ctx context.Context, cids []api.Cid, outcomes []outcome[Versioned]) ([]outcome[Versioned], error) {
	body := make([]byte, 0, cidBytes*len(cids))
	for _, cid := range cids {
		body = protowire.AppendBytes(body, cid.Bytes())
	}
	header := http.Header{"Content-Type": {typeProtobuf}, "Accept": {typeProtobuf}}
	got, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/state/read", header: header, body: body})
	if err != nil {
		return nil, err
	}
	read := 0
	for rest := got.body; len(rest) > 0; read++ {
		message, n := protowire.ConsumeBytes(rest)
		if n < 0 || read == len(cids) {
			return nil, fmt.Errorf("the host's answer to %d reads cannot be taken apart after %d", len(cids), read)
		}
		var pin outcome[Versioned]
		pin.value, pin.err = pinOf(cids[read], message)
		outcomes, rest = append(outcomes, pin), rest[n:]
	}
	return outcomes, nil
}

func pinOf(cid api.Cid, message []byte) (Versioned, error) {
	told, err := controlOf(message)
	if err == nil && told.absent {
		return Versioned{}, &Problem{Status: http.StatusNotFound, Code: codeNotFound, Detail: "there is no such pin"}
	}
	var pin Versioned
	if err == nil {
		pin, err = told.pin(message)
	}
	if err != nil {
		return Versioned{}, fmt.Errorf("the pin %s cannot be read: %w", cid, err)
	}
	pin.Cid = cid
	return pin, nil
}

// isRefusal says whether a host has refused a request as it was, so that parts of it may still be taken.
func isRefusal(err error) bool {
	problem, ok := asProblem(err)
	return ok && (problem.Status == http.StatusBadRequest || problem.Status == http.StatusRequestEntityTooLarge)
}
