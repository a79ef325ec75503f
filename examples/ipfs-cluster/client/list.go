package client

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of a streamed message beside those of a pin, see the State API.
const (
	streamedVersion = 1000
	streamedMark    = 1001
	streamedEnd     = 1002
	streamedError   = 1003
)

const readAhead = 64 << 10

// List gives every pin to `each`, in no order, and answers the cursor from which on following the feed misses nothing. When the
// stream breaks it goes on at the mark that it had come to, at another host if need be; a pin that is there all the while is
// given once. An error of `each` ends the list and is answered.
func (c *Client) List(ctx context.Context, each func(Versioned) error) (Cursor, error) {
	list := listing{each: each, given: map[api.Cid]struct{}{}}
	for attempt := 1; ; attempt++ {
		before := list.pins
		err := list.read(ctx, c)
		switch {
		case err == nil:
			return list.head, nil
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case !isPassing(err):
			return 0, err
		}
		if list.pins > before {
			attempt = 1
		}
		if attempt >= c.attempts {
			return 0, fmt.Errorf("the list broke off after %d pins and could not be continued: %w", list.pins, err)
		}
		if err := sleep(ctx, pause(attempt, err)); err != nil {
			return 0, err
		}
	}
}

// listing is how far a list has come.
type listing struct {
	each func(Versioned) error
	// head is the cursor of the first answer: later ones would miss what changed meanwhile.
	head  Cursor
	began bool
	mark  string
	// given are the pins since the mark; whoever goes on from it meets them again.
	given map[api.Cid]struct{}
	pins  uint64
}

func (l *listing) read(ctx context.Context, c *Client) error {
	query := url.Values{}
	if l.mark != "" {
		query.Set("from", l.mark)
	}
	stream, err := c.open(ctx, pinsPath, query, typeProtobuf)
	if err != nil {
		return err
	}
	defer stream.Close()
	if !l.began {
		head, err := strconv.ParseUint(stream.header.Get("Holdfast-Head"), 10, 64)
		if err != nil {
			return errors.New("the host gave no cursor with its list")
		}
		l.head, l.began = Cursor(head), true
	}
	reader := bufio.NewReaderSize(stream, readAhead)
	for {
		message, err := readDelimited(reader)
		if err != nil {
			return &broken{err}
		}
		if done, err := l.take(message); done || err != nil {
			return err
		}
	}
}

// take takes one message; it says whether it was the last.
func (l *listing) take(bytes []byte) (bool, error) {
	control, err := controlOf(bytes)
	switch {
	case err != nil:
		return false, err
	case control.problem != nil:
		return false, control.problem
	case control.end:
		return true, nil
	case control.mark != "":
		l.mark = control.mark
		clear(l.given)
		return false, nil
	}
	pin, err := control.pin(bytes)
	if err != nil {
		return false, fmt.Errorf("a listed pin cannot be read: %w", err)
	}
	if !pin.Cid.Defined() {
		// A message of a kind that is not known yet.
		return false, nil
	}
	if _, again := l.given[pin.Cid]; again {
		return false, nil
	}
	l.given[pin.Cid] = struct{}{}
	l.pins++
	return false, l.each(pin)
}

// readDelimited reads a message that has its length before it. A stream that ends between two of them is as broken as one that
// ends within: a list has a last message.
func readDelimited(from *bufio.Reader) ([]byte, error) {
	size, err := binary.ReadUvarint(from)
	if err != nil {
		return nil, unexpected(err)
	}
	if size > answerMax {
		return nil, fmt.Errorf("a message of %d bytes, and %d is the most", size, answerMax)
	}
	message := make([]byte, size)
	_, err = io.ReadFull(from, message)
	return message, unexpected(err)
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// control is what a message tells beside a pin.
type control struct {
	version uint64
	mark    string
	absent  bool
	end     bool
	problem *Problem
}

// pin reads the pin of the message that told this.
func (c control) pin(message []byte) (Versioned, error) {
	pin := Versioned{Version: c.version}
	err := pin.ProtoUnmarshal(message)
	return pin, err
}

func controlOf(message []byte) (control, error) {
	var told control
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return told, protowire.ParseError(n)
		}
		value := message[n:]
		size := protowire.ConsumeFieldValue(field, kind, value)
		if size < 0 {
			return told, protowire.ParseError(size)
		}
		switch {
		case field == streamedVersion && kind == protowire.VarintType:
			told.version, _ = protowire.ConsumeVarint(value)
		case field == streamedMark && kind == protowire.BytesType:
			told.mark, _ = protowire.ConsumeString(value)
		case field == streamedAbsent:
			told.absent = true
		case field == streamedEnd:
			told.end = true
		case field == streamedError && kind == protowire.BytesType:
			inner, _ := protowire.ConsumeBytes(value)
			told.problem = streamedProblem(inner)
		}
		message = value[size:]
	}
	return told, nil
}

func streamedProblem(message []byte) *Problem {
	problem := &Problem{}
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			break
		}
		value := message[n:]
		size := protowire.ConsumeFieldValue(field, kind, value)
		if size < 0 {
			break
		}
		switch {
		case field == 1 && kind == protowire.VarintType:
			status, _ := protowire.ConsumeVarint(value)
			problem.Status = int(status)
		case field == 2 && kind == protowire.BytesType:
			problem.Code, _ = protowire.ConsumeString(value)
		case field == 3 && kind == protowire.BytesType:
			problem.Detail, _ = protowire.ConsumeString(value)
		}
		message = value[size:]
	}
	return problem
}
