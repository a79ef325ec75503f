// Package fakehost answers the State API from memory, for tests of what a host does wrong: it can be told to break off, to
// refuse, and to take a change without saying so.
package fakehost

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"google.golang.org/protobuf/encoding/protowire"
)

// Store is what several hosts may share.
type Store struct {
	mu      sync.Mutex
	changed *sync.Cond
	pins    map[string]entry
	feed    []change
	// oldest is the cursor below which the feed has been trimmed.
	oldest uint64
	head   uint64
}

type entry struct {
	version uint64
	bytes   []byte
}

type change struct {
	cursor uint64
	cid    api.Cid
}

// NewStore is an empty store.
func NewStore() *Store {
	s := &Store{pins: map[string]entry{}}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// Trim forgets the feed up to now.
func (s *Store) Trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.feed, s.oldest = nil, s.head
}

// Host is one host over a store.
type Host struct {
	*httptest.Server
	store *Store
	mu    sync.Mutex
	// fail is asked before a request is served; it may answer in the host's place.
	fail func(w http.ResponseWriter, r *http.Request, serve func()) bool
	// PinsPerStream breaks a list off after so many pins, once.
	pinsPerStream  int
	readsPerAnswer int
	connections    atomic.Int64
}

// Start starts a host.
func Start(store *Store) *Host {
	h := &Host{store: store}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(h.serve))
	h.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			h.connections.Add(1)
		}
	}
	h.Server.Start()
	return h
}

// Connections is how many have been opened to the host so far.
func (h *Host) Connections() int64 { return h.connections.Load() }

// Fail sets what happens to requests from now on; nil serves them.
func (h *Host) Fail(how func(w http.ResponseWriter, r *http.Request, serve func()) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = how
}

// BreakListAfter lets the next list break off after so many pins.
func (h *Host) BreakListAfter(pins int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pinsPerStream = pins
}

// EndReadsAfter lets answers to many reads end after so many of them, as they do when pins are large.
func (h *Host) EndReadsAfter(reads int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readsPerAnswer = reads
}

func (h *Host) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	fail := h.fail
	h.mu.Unlock()
	if fail != nil && fail(w, r, func() { h.route(w, r) }) {
		return
	}
	h.route(w, r)
}

func (h *Host) route(w http.ResponseWriter, r *http.Request) {
	cid, one := strings.CutPrefix(r.URL.Path, "/v1/state/pins/")
	switch {
	case r.Header.Get("Authorization") != "Bearer key":
		Problem(w, http.StatusUnauthorized, "UNAUTHORIZED", "")
	case one:
		h.pin(w, r, cid)
	case r.URL.Path == "/v1/state/pins":
		h.list(w, r)
	case r.URL.Path == "/v1/state/read":
		h.read(w, r)
	case r.URL.Path == "/v1/state/batch":
		h.batch(w, r)
	case r.URL.Path == "/v1/state/changes":
		h.changes(w, r)
	default:
		Problem(w, http.StatusNotFound, "NO_ROUTE", "")
	}
}

func (h *Host) pin(w http.ResponseWriter, r *http.Request, text string) {
	cid, err := api.DecodeCid(text)
	if err != nil {
		Problem(w, http.StatusBadRequest, "BAD_REQUEST", "cid")
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		found, there := h.store.get(cid)
		if !there {
			Problem(w, http.StatusNotFound, "NOT_FOUND", "")
			return
		}
		w.Header().Set("ETag", strconv.Quote(strconv.FormatUint(found.version, 10)))
		w.Write(found.bytes)
	case http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		h.write(w, r, cid, body)
	case http.MethodDelete:
		h.write(w, r, cid, nil)
	}
}

func (h *Host) write(w http.ResponseWriter, r *http.Request, cid api.Cid, body []byte) {
	version, _ := strconv.ParseUint(strings.Trim(r.Header.Get("If-Match"), `"`), 10, 64)
	now, ok := h.store.put(cid, body, version, r.Header.Get("If-None-Match") == "*")
	if !ok {
		Problem(w, http.StatusPreconditionFailed, "VERSION_CHANGED", "")
		return
	}
	w.Header().Set("ETag", strconv.Quote(strconv.FormatUint(now, 10)))
	w.WriteHeader(http.StatusNoContent)
}

func (h *Host) list(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	most := h.pinsPerStream
	h.pinsPerStream = 0
	h.mu.Unlock()
	names, head := h.store.names(r.URL.Query().Get("from"))
	w.Header().Set("Holdfast-Head", strconv.FormatUint(head, 10))
	for i, name := range names {
		if most > 0 && i == most {
			panic(http.ErrAbortHandler)
		}
		cid, _ := api.DecodeCid(name)
		if found, there := h.store.get(cid); there {
			message := protowire.AppendTag(append([]byte{}, found.bytes...), 1000, protowire.VarintType)
			delimited(w, protowire.AppendVarint(message, found.version))
		}
		if i%3 == 2 {
			mark := protowire.AppendTag(nil, 1001, protowire.BytesType)
			delimited(w, protowire.AppendString(mark, name))
		}
		w.(http.Flusher).Flush()
	}
	end := protowire.AppendTag(nil, 1002, protowire.BytesType)
	delimited(w, protowire.AppendBytes(end, nil))
}

func (h *Host) read(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	most := h.readsPerAnswer
	h.mu.Unlock()
	for i, message := range messages(r.Body) {
		if most > 0 && i == most {
			return
		}
		cid, err := api.CastCid(message)
		if err != nil {
			Problem(w, http.StatusBadRequest, "BAD_REQUEST", "cid")
			return
		}
		if found, there := h.store.get(cid); there {
			pin := protowire.AppendTag(append([]byte{}, found.bytes...), 1000, protowire.VarintType)
			delimited(w, protowire.AppendVarint(pin, found.version))
		} else {
			absent := protowire.AppendTag(nil, 1004, protowire.BytesType)
			delimited(w, protowire.AppendBytes(absent, message))
		}
	}
}

func (h *Host) batch(w http.ResponseWriter, r *http.Request) {
	failed, versions := []map[string]any{}, []uint64{}
	for index, message := range messages(r.Body) {
		version, ok := h.store.take(message)
		versions = append(versions, version)
		if !ok {
			failed = append(failed, map[string]any{"index": index, "status": 412, "code": "VERSION_CHANGED"})
		}
	}
	json.NewEncoder(w).Encode(map[string]any{"failed": failed, "versions": versions})
}

// messages are what a body consists of, each with its length before it.
func messages(body io.Reader) (all [][]byte) {
	from := bufio.NewReader(body)
	for {
		size, err := binary.ReadUvarint(from)
		if err != nil {
			return all
		}
		message := make([]byte, size)
		io.ReadFull(from, message)
		all = append(all, message)
	}
}

func (h *Host) changes(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	oldest, head := h.store.bounds()
	switch {
	case r.URL.Query().Get("after") == "head":
		json.NewEncoder(w).Encode(map[string]any{"changes": []any{}, "cursor": head, "head": head})
		return
	case err != nil:
		Problem(w, http.StatusBadRequest, "BAD_REQUEST", "after")
		return
	case after > head:
		Problem(w, http.StatusBadRequest, "CURSOR_IN_FUTURE", "")
		return
	case after < oldest:
		Problem(w, http.StatusGone, "CURSOR_TOO_OLD", "")
		return
	}
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	for {
		next, ok := h.store.after(after, func() bool { return r.Context().Err() != nil })
		if !ok {
			return
		}
		after = next.cursor
		line := map[string]any{"cursor": next.cursor, "cid": next.cid, "pin": nil}
		if found, there := h.store.get(next.cid); there {
			var pin api.Pin
			pin.ProtoUnmarshal(found.bytes)
			line["pin"], line["version"] = pin, found.version
		}
		json.NewEncoder(w).Encode(line)
		w.(http.Flusher).Flush()
	}
}

// Problem answers a problem.
func Problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code, "detail": detail})
}

func delimited(w io.Writer, message []byte) {
	w.Write(protowire.AppendBytes(nil, message))
}

func (s *Store) get(cid api.Cid) (entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, there := s.pins[cid.String()]
	return found, there
}

// put writes a pin, or removes it when there are no bytes.
func (s *Store) put(cid api.Cid, bytes []byte, version uint64, absent bool) (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, there := s.pins[cid.String()]
	if (absent && there) || (version > 0 && found.version != version) {
		return 0, false
	}
	if bytes == nil && !there {
		return 0, true
	}
	s.head++
	if bytes == nil {
		delete(s.pins, cid.String())
	} else {
		s.pins[cid.String()] = entry{version: s.head, bytes: bytes}
	}
	s.feed = append(s.feed, change{cursor: s.head, cid: cid})
	s.changed.Broadcast()
	return s.head, true
}

func (s *Store) take(message []byte) (uint64, bool) {
	var body, removed []byte
	var version uint64
	absent := false
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		value := message[n:]
		switch field {
		case 1:
			body, _ = protowire.ConsumeBytes(value)
		case 2:
			removed, _ = protowire.ConsumeBytes(value)
		case 3:
			version, _ = protowire.ConsumeVarint(value)
		case 4:
			absent = true
		}
		message = value[protowire.ConsumeFieldValue(field, kind, value):]
	}
	var pin api.Pin
	if removed != nil {
		pin.Cid, _ = api.CastCid(removed)
	} else if err := pin.ProtoUnmarshal(body); err != nil {
		return 0, false
	}
	return s.put(pin.Cid, body, version, absent)
}

func (s *Store) names(after string) ([]string, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.pins {
		if name > after {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names, s.head
}

func (s *Store) bounds() (oldest, head uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.oldest, s.head
}

func (s *Store) after(cursor uint64, gone func() bool) (change, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for _, next := range s.feed {
			if next.cursor > cursor {
				return next, true
			}
		}
		if gone() {
			return change{}, false
		}
		s.changed.Wait()
	}
}

// Wake lets feeds look whether their readers have gone.
func (s *Store) Wake() { s.changed.Broadcast() }

// String tells how much there is, for failing tests.
func (s *Store) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%d pins, feed from %d to %d", len(s.pins), s.oldest, s.head)
}
