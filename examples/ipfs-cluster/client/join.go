package client

import (
	"context"
	"runtime"
	"sync"
)

// flightsMax is how many requests of one kind may be under way before the calls that come go together: while one of them is with
// the host, the answer of the other is taken apart. More of them only make each carry less.
const flightsMax = 2

// joiner lets calls that are made at the same time go in one request. A call goes by itself and at once while few are under way;
// those that come meanwhile wait for the next of these to end, which is one request's time at most, and go together. So nothing
// is held back to become more, and the busier a peer is, the less each call costs it.
type joiner[Q, A any] struct {
	// alone makes one call, on behalf of its caller.
	alone func(context.Context, Q) (A, error)
	// together makes many, and answers each in its place; an error is everybody's.
	together func(context.Context, []Q) ([]outcome[A], error)
	// most is how many go together.
	most int
	// key tells calls apart that must not go together; nil if all may.
	key func(Q) any

	mu      sync.Mutex
	flights int
	waiting []*seat[Q, A]
}

// outcome is what became of one call.
type outcome[A any] struct {
	value A
	err   error
}

// seat is a call that waits for a request to carry it.
type seat[Q, A any] struct {
	question Q
	done     chan struct{}
	outcome  outcome[A]
	// left is closed when nobody waits for the answer any more.
	left chan struct{}
}

// do makes a call, alone or together with others. It ends with its context, whatever the others do.
func (j *joiner[Q, A]) do(ctx context.Context, question Q) (A, error) {
	j.mu.Lock()
	if j.flights < flightsMax {
		j.flights++
		j.mu.Unlock()
		defer j.land()
		return j.alone(ctx, question)
	}
	mine := &seat[Q, A]{question: question, done: make(chan struct{}), left: make(chan struct{})}
	j.waiting = append(j.waiting, mine)
	j.mu.Unlock()
	select {
	case <-mine.done:
		return mine.outcome.value, mine.outcome.err
	case <-ctx.Done():
		close(mine.left)
		var none A
		return none, ctx.Err()
	}
}

// land ends a request: what waits goes in its place.
func (j *joiner[Q, A]) land() {
	// Who was answered just now may ask again at once, and comes along then.
	runtime.Gosched()
	j.mu.Lock()
	taken := j.take()
	if len(taken) == 0 {
		j.flights--
	}
	j.mu.Unlock()
	if len(taken) > 0 {
		go func() {
			defer j.land()
			j.carry(taken)
		}()
	}
}

// take takes what goes together next, in the order in which it came. Who has left is left out.
func (j *joiner[Q, A]) take() []*seat[Q, A] {
	var taken, kept []*seat[Q, A]
	var keys map[any]struct{}
	if j.key != nil {
		keys = make(map[any]struct{}, len(j.waiting))
	}
	for at, waiting := range j.waiting {
		if len(taken) == j.most {
			kept = append(kept, j.waiting[at:]...)
			break
		}
		if waiting.isLeft() {
			continue
		}
		if j.key != nil {
			key := j.key(waiting.question)
			if _, twice := keys[key]; twice {
				kept = append(kept, waiting)
				continue
			}
			keys[key] = struct{}{}
		}
		taken = append(taken, waiting)
	}
	j.waiting = kept
	return taken
}

// carry makes the calls of seats in one request, and ends it early once all of them are left.
func (j *joiner[Q, A]) carry(seats []*seat[Q, A]) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go cancelOnceLeft(ctx, cancel, seats)
	questions := make([]Q, len(seats))
	for at, seat := range seats {
		questions[at] = seat.question
	}
	outcomes, err := j.together(ctx, questions)
	for at, seat := range seats {
		if err != nil {
			seat.outcome.err = err
		} else {
			seat.outcome = outcomes[at]
		}
		close(seat.done)
	}
}

func cancelOnceLeft[Q, A any](ctx context.Context, cancel context.CancelFunc, seats []*seat[Q, A]) {
	for _, seat := range seats {
		select {
		case <-seat.left:
		case <-ctx.Done():
			return
		}
	}
	cancel()
}

func (s *seat[Q, A]) isLeft() bool {
	select {
	case <-s.left:
		return true
	default:
		return false
	}
}
