// Command linearizability says whether a recorded history of conditional updates is linearizable:
// whether there is an order of all operations, each somewhere between its call and its return, in
// which a single versioned register a key would have given the same answers.
//
//	linearizability [-seconds 60] [-html FILE] [-seed N] HISTORY.jsonl
//
// Prints one line of JSON and ends with 0 (it is), 1 (it is not), 2 (undecided in time) or 3 (the
// history cannot be used). The checker is Porcupine.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

type verdict struct {
	Verdict    string `json:"verdict"` // linearizable, not linearizable, undecided
	Why        string `json:"why,omitempty"`
	Operations int    `json:"operations"`
	Open       int    `json:"open"`
	Keys       int    `json:"keys"`
	Millis     int64  `json:"millis"`
	Seed       string `json:"seed,omitempty"`
}

const (
	linearizable = "linearizable"
	refused      = "not linearizable"
	undecided    = "undecided"
)

func main() {
	seconds := flag.Int("seconds", 60, "how long to look for an order")
	html := flag.String("html", "", "write a picture of the history here")
	seed := flag.String("seed", "", "repeated in the verdict, for whoever wants to run it again")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(3)
	}
	found, err := judgeFile(flag.Arg(0), *html, time.Duration(*seconds)*time.Second)
	if err != nil {
		fmt.Fprintf(os.Stderr, "linearizability: %s: %v\n", flag.Arg(0), err)
		os.Exit(3)
	}
	found.Seed = *seed
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		os.Exit(3)
	}
	os.Exit(map[string]int{linearizable: 0, refused: 1, undecided: 2}[found.Verdict])
}

func judgeFile(path, html string, limit time.Duration) (verdict, error) {
	file, err := os.Open(path)
	if err != nil {
		return verdict{}, err
	}
	defer file.Close()
	events, err := readHistory(file)
	if err != nil {
		return verdict{}, err
	}
	return judge(events, html, limit)
}

func judge(events []event, html string, limit time.Duration) (verdict, error) {
	begun := time.Now()
	found := verdict{Operations: len(events)}
	keys := map[string]bool{}
	for _, e := range events {
		keys[e.Key] = true
		if e.Return == nil {
			found.Open++
		}
	}
	found.Keys = len(keys)
	versions, err := versions(events)
	if err != nil {
		found.Verdict, found.Why = refused, err.Error()
		return found, nil
	}
	register := model(versions)
	result, picture := porcupine.CheckOperationsVerbose(register, operations(events), limit)
	found.Millis = time.Since(begun).Milliseconds()
	switch result {
	case porcupine.Ok:
		found.Verdict = linearizable
	case porcupine.Illegal:
		found.Verdict = refused
		found.Why = "no order of the operations explains the answers"
	default:
		found.Verdict = undecided
		found.Why = fmt.Sprintf("no answer within %s", limit)
	}
	if html == "" {
		return found, nil
	}
	return found, porcupine.VisualizePath(register, picture, html)
}
