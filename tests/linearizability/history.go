package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/anishathalye/porcupine"
)

// What a client did, one line of JSON each.
type event struct {
	Client int    `json:"client"`
	Key    string `json:"key"`
	Op     string `json:"op"` // put, delete, read
	// What the call expected of the row: any, absent, version.
	Expect  string `json:"expect,omitempty"`
	Version int64  `json:"version,omitempty"`
	// What a put wrote: a number that no other put writes.
	Value int64 `json:"value,omitempty"`
	// Nanoseconds from the beginning of the run. No return: the client never learnt the outcome.
	Call   int64  `json:"call"`
	Return *int64 `json:"return"`
	// ok, conflict, absent (a read that found nothing), unknown.
	Outcome string `json:"outcome"`
	// What was there afterwards, if the answer told: the version of a put, both of a read.
	SeenVersion int64 `json:"seen_version,omitempty"`
	SeenValue   int64 `json:"seen_value,omitempty"`
}

// Longest line that is read: an event takes some 200 bytes.
const lineMax = 1 << 20

func readHistory(from io.Reader) ([]event, error) {
	var events []event
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, lineMax)
	for n := 1; lines.Scan(); n++ {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		events = append(events, e)
	}
	return events, lines.Err()
}

// A history that says less than it should would pass for the wrong reason.
func (e event) check() error {
	known := map[string][]string{
		"put":    {"ok", "conflict", "unknown"},
		"delete": {"ok", "conflict", "unknown"},
		"read":   {"ok", "absent"},
	}
	outcomes, there := known[e.Op]
	if !there {
		return fmt.Errorf("there is no operation %q", e.Op)
	}
	fits := false
	for _, outcome := range outcomes {
		fits = fits || e.Outcome == outcome
	}
	switch {
	case !fits:
		return fmt.Errorf("a %s does not end in %q", e.Op, e.Outcome)
	case e.Op == "put" && e.Value == 0:
		return fmt.Errorf("a put without a value")
	case e.Op == "put" && e.Outcome == "ok" && e.SeenVersion == 0:
		return fmt.Errorf("a put that answered no version")
	case e.Op == "read" && e.Outcome == "ok" && (e.SeenVersion == 0 || e.SeenValue == 0):
		return fmt.Errorf("a read that found something and does not say what")
	case e.Op != "read" && e.Expect != "any" && e.Expect != "absent" && e.Expect != "version":
		return fmt.Errorf("a %s expects %q", e.Op, e.Expect)
	case e.Expect == "version" && e.Version == 0:
		return fmt.Errorf("a version is expected and not named")
	case (e.Outcome == "unknown") != (e.Return == nil):
		return fmt.Errorf("an operation is open exactly if its outcome is unknown")
	case e.Return != nil && *e.Return < e.Call:
		return fmt.Errorf("it returned before it was called")
	}
	return nil
}

// Operations for the checker. One whose outcome nobody learnt may take effect at any time after its
// call, or never: it never returns.
func operations(events []event) []porcupine.Operation {
	var all []porcupine.Operation
	for _, e := range events {
		end := int64(math.MaxInt64)
		if e.Return != nil {
			end = *e.Return
		}
		operation := porcupine.Operation{
			ClientId: e.Client, Input: e, Call: e.Call, Output: e, Return: end,
		}
		all = append(all, operation)
	}
	return all
}

// Versions that were seen, by key and value. A value with two versions, or a version with two
// values, is wrong before any order is looked for: versions are never used twice.
func versions(events []event) (map[string]map[int64]int64, error) {
	ofValue := map[string]map[int64]int64{}
	ofVersion := map[string]map[int64]int64{}
	for _, e := range events {
		value, version := e.SeenValue, e.SeenVersion
		if e.Op == "put" {
			value = e.Value
		}
		if value == 0 || version == 0 {
			continue
		}
		if ofValue[e.Key] == nil {
			ofValue[e.Key] = map[int64]int64{}
			ofVersion[e.Key] = map[int64]int64{}
		}
		if known, there := ofValue[e.Key][value]; there && known != version {
			return nil, fmt.Errorf("%s: value %d has versions %d and %d", e.Key, value, known, version)
		}
		if known, there := ofVersion[e.Key][version]; there && known != value {
			return nil, fmt.Errorf("%s: version %d has values %d and %d", e.Key, version, known, value)
		}
		ofValue[e.Key][value] = version
		ofVersion[e.Key][version] = value
	}
	return ofValue, nil
}
