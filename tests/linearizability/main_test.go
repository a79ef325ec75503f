package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The verdict on a history whose events say what they must.
func history(t *testing.T, events ...event) verdict {
	t.Helper()
	for _, e := range events {
		if err := e.check(); err != nil {
			t.Fatalf("%v: %v", e, err)
		}
	}
	found, err := judge(events, "", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func put(client int, expect string, version, value, call, end, seen int64) event {
	return event{
		Client: client, Key: "pin", Op: "put", Expect: expect, Version: version, Value: value,
		Call: call, Return: &end, Outcome: "ok", SeenVersion: seen,
	}
}

func conflict(e event) event {
	e.Outcome, e.SeenVersion = "conflict", 0
	return e
}

func open(e event) event {
	e.Outcome, e.SeenVersion, e.Return = "unknown", 0, nil
	return e
}

func remove(client int, expect string, version, call, end int64) event {
	return event{
		Client: client, Key: "pin", Op: "delete", Expect: expect, Version: version,
		Call: call, Return: &end, Outcome: "ok",
	}
}

func read(client int, value, version, call, end int64) event {
	e := event{
		Client: client, Key: "pin", Op: "read", Call: call, Return: &end, Outcome: "ok",
		SeenValue: value, SeenVersion: version,
	}
	if value == 0 {
		e.Outcome = "absent"
	}
	return e
}

func TestSoundHistories(t *testing.T) {
	for name, events := range map[string][]event{
		"one after the other": {
			read(1, 0, 0, 0, 1),
			put(1, "absent", 0, 7, 2, 3, 100),
			read(2, 7, 100, 4, 5),
			put(2, "version", 100, 8, 6, 7, 101),
			conflict(put(1, "version", 100, 9, 8, 9, 0)),
			remove(1, "version", 101, 10, 11),
			read(1, 0, 0, 12, 13),
			put(1, "absent", 0, 10, 14, 15, 102),
		},
		"at the same time, in either order": {
			put(1, "any", 0, 7, 0, 10, 101),
			put(2, "any", 0, 8, 0, 10, 100),
			read(3, 7, 101, 11, 12),
		},
		"of unknown outcome, and it took effect": {
			open(put(1, "absent", 0, 7, 0, 0, 0)),
			read(2, 7, 100, 50, 51),
		},
		"of unknown outcome, and it took effect late": {
			open(put(1, "absent", 0, 7, 0, 0, 0)),
			read(2, 0, 0, 50, 51),
			read(2, 7, 100, 60, 61),
		},
		"of unknown outcome, and it never took effect": {
			open(put(1, "absent", 0, 7, 0, 0, 0)),
			put(2, "absent", 0, 8, 50, 51, 100),
			read(2, 8, 100, 60, 61),
		},
		"of unknown outcome, and unseen before a removal": {
			open(put(1, "absent", 0, 7, 0, 0, 0)),
			conflict(put(2, "absent", 0, 8, 50, 51, 0)),
			remove(2, "any", 0, 52, 53),
			read(2, 0, 0, 60, 61),
		},
	} {
		if found := history(t, events...); found.Verdict != linearizable {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func TestDoctoredHistoriesAreRefused(t *testing.T) {
	for name, events := range map[string][]event{
		"a lost update": {
			put(1, "absent", 0, 7, 0, 1, 100),
			put(1, "version", 100, 8, 2, 5, 101),
			put(2, "version", 100, 9, 3, 6, 102),
		},
		"a stale read": {
			put(1, "absent", 0, 7, 0, 1, 100),
			put(1, "version", 100, 8, 2, 3, 101),
			read(2, 7, 100, 4, 5),
		},
		"a read of what was taken back": {
			open(put(1, "absent", 0, 7, 0, 0, 0)),
			read(2, 7, 100, 10, 11),
			read(2, 0, 0, 12, 13),
		},
		"a lost write": {
			put(1, "absent", 0, 7, 0, 1, 100),
			read(2, 0, 0, 2, 3),
		},
		"a refusal that was none": {
			put(1, "absent", 0, 7, 0, 1, 100),
			conflict(put(1, "version", 100, 8, 2, 3, 0)),
			read(2, 8, 101, 4, 5),
		},
		"a version used twice": {
			put(1, "absent", 0, 7, 0, 1, 100),
			remove(1, "any", 0, 2, 3),
			put(1, "absent", 0, 8, 4, 5, 100),
		},
		"a version that shrinks": {
			put(1, "absent", 0, 7, 0, 1, 100),
			remove(1, "any", 0, 2, 3),
			put(1, "absent", 0, 8, 4, 5, 99),
		},
		"a removal that did nothing": {
			put(1, "absent", 0, 7, 0, 1, 100),
			remove(1, "version", 100, 2, 3),
			read(2, 7, 100, 4, 5),
		},
	} {
		if found := history(t, events...); found.Verdict != refused {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func TestAHistoryMustSayWhatItMeans(t *testing.T) {
	for line, told := range map[string]string{
		`{`:                            "line 1",
		`{"op":"swap","outcome":"ok"}`: "no operation",
		`{"op":"read","outcome":"ok","return":1}`:                                      "does not say what",
		`{"op":"put","value":1,"expect":"any","outcome":"unknown","return":1}`:         "open exactly",
		`{"op":"put","value":1,"expect":"version","outcome":"conflict","return":1}`:    "not named",
		`{"op":"delete","expect":"any","outcome":"absent","return":1}`:                 "does not end",
		`{"op":"put","value":1,"expect":"any","outcome":"ok","return":1}`:              "no version",
		`{"op":"delete","expect":"any","outcome":"ok","call":2,"return":1}`:            "before it was",
		`{"op":"put","expect":"any","outcome":"ok","return":1,"seen_version":3}`:       "without a value",
		`{"op":"delete","expect":"sometimes","outcome":"ok","call":1,"return":1}` + "": "expects",
	} {
		_, err := readHistory(strings.NewReader(line + "\n"))
		if err == nil || !strings.Contains(err.Error(), told) {
			t.Errorf("%s: %v, not %q", line, err, told)
		}
	}
}

func TestAVerdictComesWithAPicture(t *testing.T) {
	dir := t.TempDir()
	lines := `{"client":1,"key":"pin","op":"put","expect":"absent","value":7,"call":0,"return":1,"outcome":"ok","seen_version":100}
{"client":2,"key":"pin","op":"read","call":2,"return":3,"outcome":"ok","seen_value":7,"seen_version":100}
`
	path, html := filepath.Join(dir, "history.jsonl"), filepath.Join(dir, "history.html")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := judgeFile(path, html, time.Second)
	if err != nil || found.Verdict != linearizable || found.Operations != 2 || found.Keys != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	if picture, err := os.ReadFile(html); err != nil || len(picture) == 0 {
		t.Fatalf("no picture: %v", err)
	}
}
