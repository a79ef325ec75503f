package main

import (
	"fmt"
	"sort"

	"github.com/anishathalye/porcupine"
)

// What is there: the value that the last put wrote (0: nothing is there), and the greatest version
// that is known to have been given out.
type register struct {
	value  int64
	newest int64
}

// One versioned register a key. `versions` tells the version that each value was seen with; a value
// without one was never seen, so that no later operation can have named it.
func model(versions map[string]map[int64]int64) porcupine.Model {
	return porcupine.Model{
		Partition: byKey,
		Init:      func() interface{} { return register{} },
		Step: func(state, input, _ interface{}) (bool, interface{}) {
			e := input.(event)
			return step(versions[e.Key], state.(register), e)
		},
		DescribeOperation: func(input, _ interface{}) string { return input.(event).String() },
		DescribeState: func(state interface{}) string {
			now := state.(register)
			return fmt.Sprintf("value %d, versions up to %d", now.value, now.newest)
		},
	}
}

func step(versions map[int64]int64, now register, e event) (bool, register) {
	if e.Op == "read" {
		if e.Outcome == "absent" {
			return now.value == 0, now
		}
		return now.value == e.SeenValue, now
	}
	if !e.holds(versions, now) {
		// What nobody learnt may as well have been refused.
		return e.Outcome != "ok", now
	}
	if e.Outcome == "conflict" {
		return false, now
	}
	if e.Op == "delete" {
		return true, register{newest: now.newest}
	}
	version, known := versions[e.Value]
	if !known {
		return true, register{value: e.Value, newest: now.newest}
	}
	// Versions grow, over removals too.
	return version > now.newest, register{value: e.Value, newest: version}
}

func (e event) holds(versions map[int64]int64, now register) bool {
	switch e.Expect {
	case "any":
		return true
	case "absent":
		return now.value == 0
	default:
		return now.value != 0 && versions[now.value] == e.Version
	}
}

func (e event) String() string {
	call := e.Op
	if e.Op != "read" {
		call += " " + e.Expect
	}
	if e.Expect == "version" {
		call += fmt.Sprintf(" %d", e.Version)
	}
	if e.Op == "put" {
		call += fmt.Sprintf(" := %d", e.Value)
	}
	answer := e.Outcome
	if e.SeenValue != 0 {
		answer += fmt.Sprintf(" %d", e.SeenValue)
	}
	if e.SeenVersion != 0 {
		answer += fmt.Sprintf(" @%d", e.SeenVersion)
	}
	return call + " -> " + answer
}

func byKey(history []porcupine.Operation) [][]porcupine.Operation {
	parts := map[string][]porcupine.Operation{}
	for _, operation := range history {
		key := operation.Input.(event).Key
		parts[key] = append(parts[key], operation)
	}
	keys := make([]string, 0, len(parts))
	for key := range parts {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	sorted := make([][]porcupine.Operation, 0, len(keys))
	for _, key := range keys {
		sorted = append(sorted, parts[key])
	}
	return sorted
}
