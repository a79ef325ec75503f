package client

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// office answers questions and remembers how they came; it holds back what goes alone until it is opened.
type office struct {
	open   chan struct{}
	begun  chan struct{}
	failed error

	mu       sync.Mutex
	together [][]int
}

func (o *office) joiner(most int, key func(int) any) *joiner[int, int] {
	return &joiner[int, int]{alone: o.alone, together: o.all, most: most, key: key}
}

func (o *office) alone(_ context.Context, question int) (int, error) {
	o.begun <- struct{}{}
	<-o.open
	return question * 10, nil
}

func (o *office) all(_ context.Context, questions []int) ([]outcome[int], error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.together = append(o.together, questions)
	if o.failed != nil {
		return nil, o.failed
	}
	outcomes := make([]outcome[int], len(questions))
	for at, question := range questions {
		outcomes[at].value = question * 10
	}
	return outcomes, nil
}

// ask fills the flights and lets so many more calls wait, in their order; what it gives waits for their answers.
func ask(t *testing.T, o *office, j *joiner[int, int], questions ...int) func() map[int]error {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	errs := map[int]error{}
	call := func(question int) {
		all.Go(func() {
			answer, err := j.do(context.Background(), question)
			if err == nil && answer != question*10 {
				t.Errorf("%d was answered %d", question, answer)
			}
			mu.Lock()
			defer mu.Unlock()
			errs[question] = err
		})
	}
	for n := range flightsMax {
		call(-1 - n)
		<-o.begun
	}
	for n, question := range questions {
		call(question)
		wait(t, j, n+1)
	}
	return func() map[int]error { all.Wait(); return errs }
}

// wait waits until so many calls wait.
func wait(t *testing.T, j *joiner[int, int], calls int) {
	t.Helper()
	until(t, j, func() bool { return len(j.waiting) == calls })
}

// until waits for what is seen of a joiner, under its lock.
func until(t *testing.T, j *joiner[int, int], seen func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		j.mu.Lock()
		now := seen()
		j.mu.Unlock()
		if now {
			return
		}
	}
	t.Fatalf("%d calls wait for %d requests, and that did not change", len(j.waiting), j.flights)
}

func newOffice() *office {
	return &office{open: make(chan struct{}), begun: make(chan struct{}, 100)}
}

func TestCallsThatComeMeanwhileGoTogether(t *testing.T) {
	o := newOffice()
	j := o.joiner(3, nil)
	end := ask(t, o, j, 1, 2, 3, 4, 5)
	close(o.open)
	for question, err := range end() {
		if err != nil {
			t.Errorf("%d: %v", question, err)
		}
	}
	carried := 0
	for _, questions := range o.together {
		carried += len(questions)
		if len(questions) > 3 {
			t.Errorf("%v went together, and 3 is the most", questions)
		}
	}
	if carried != 5 || len(o.together) != 2 {
		t.Errorf("%v went together", o.together)
	}
	until(t, j, func() bool { return j.flights == 0 })
	if answer, err := j.do(context.Background(), 6); answer != 60 || err != nil || len(o.together) != 2 {
		t.Errorf("a call by itself: %d, %v, %v", answer, err, o.together)
	}
}

func TestCallsOfOneKeyDoNotGoTogether(t *testing.T) {
	o := newOffice()
	j := o.joiner(10, func(question int) any { return question % 2 })
	end := ask(t, o, j, 1, 2, 3)
	close(o.open)
	end()
	for _, questions := range o.together {
		for at, question := range questions {
			for _, other := range questions[:at] {
				if question%2 == other%2 {
					t.Errorf("%v went together", questions)
				}
			}
		}
	}
	if len(o.together) != 2 {
		t.Errorf("%v went together", o.together)
	}
}

func TestWhoLeavesIsLeftOutAndHoldsUpNobody(t *testing.T) {
	o := newOffice()
	j := o.joiner(10, nil)
	end := ask(t, o, j, 1)
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan error)
	go func() { _, err := j.do(ctx, 2); left <- err }()
	wait(t, j, 2)
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(o.open)
	end()
	if len(o.together) != 1 || len(o.together[0]) != 1 || o.together[0][0] != 1 {
		t.Errorf("%v went together", o.together)
	}
}

func TestAnErrorOfTheRequestIsEverybodys(t *testing.T) {
	o := newOffice()
	o.failed = errors.New("no host answered")
	end := ask(t, o, o.joiner(10, nil), 1, 2)
	close(o.open)
	for question, err := range end() {
		if (question > 0) != errors.Is(err, o.failed) {
			t.Errorf("%d: %v", question, err)
		}
	}
}

func TestARequestThatNobodyWaitsForEnds(t *testing.T) {
	o := newOffice()
	ended := make(chan error)
	j := o.joiner(10, nil)
	carried := make(chan struct{})
	j.together = func(ctx context.Context, questions []int) ([]outcome[int], error) {
		close(carried)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
	end := ask(t, o, j)
	ctx, cancel := context.WithCancel(context.Background())
	go j.do(ctx, 1)
	wait(t, j, 1)
	close(o.open)
	end()
	<-carried
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the request goes on")
	}
}
