// The rows of the table in Go. Each has the name of its row; threads.go has those that need several threads.
package bench

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
)

func BenchmarkChannelPingPong(b *testing.B) {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for v := range ping {
			pong <- v
		}
	}()
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		ping <- i
		<-pong
	}
	b.StopTimer()
	close(ping)
}

func BenchmarkChannelStream(b *testing.B) {
	c := make(chan int, 64)
	done := make(chan struct{})
	go func() {
		for range c {
		}
		close(done)
	}()
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		c <- i
	}
	close(c)
	<-done
}

func BenchmarkChannelSendReceive(b *testing.B) {
	c := make(chan int, 1)
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		c <- i
		<-c
	}
}

func BenchmarkChannelTry(b *testing.B) {
	c := make(chan int, 1)
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		select {
		case c <- i:
		default:
			b.Fatal("full")
		}
		select {
		case <-c:
		default:
			b.Fatal("empty")
		}
	}
}

func BenchmarkSelectReady(b *testing.B) {
	c, d := make(chan int, 1), make(chan int, 1)
	c <- 1
	d <- 1
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		select {
		case v := <-c:
			c <- v
		case v := <-d:
			d <- v
		}
	}
}

func BenchmarkSelectParking(b *testing.B) {
	c, d, pong := make(chan int), make(chan int), make(chan int)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case v := <-c:
				pong <- v
			case v := <-d:
				pong <- v
			case <-done:
				return
			}
		}
	}()
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		if i&1 == 0 {
			c <- i
		} else {
			d <- i
		}
		<-pong
	}
	b.StopTimer()
	close(done)
}

func BenchmarkSelectDefault(b *testing.B) {
	c, d := make(chan int), make(chan int)
	n := 0
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		select {
		case v := <-c:
			n += v
		case v := <-d:
			n += v
		default:
			n++
		}
	}
	sink = n
}

var sink int

// Starts the timer; what it returns reports the process's CPU time per operation beside the wall time.
func measured(b *testing.B) func() {
	used := func() int64 {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return u.Utime.Nano() + u.Stime.Nano()
	}
	b.ResetTimer()
	before := used()
	return func() {
		b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op")
	}
}

func BenchmarkMutexUncontended(b *testing.B) {
	var m sync.Mutex
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		m.Lock()
		sink++
		m.Unlock()
	}
}

// Whoever unlocks hands the lock to the other, who waits for it: a channel of one is the lock of Go that does so.
func BenchmarkMutexHandOver(b *testing.B) {
	m := make(chan struct{}, 1)
	m <- struct{}{}
	stop := false
	done := make(chan struct{})
	go func() {
		for !stop {
			m <- struct{}{}
			<-m
		}
		close(done)
	}()
	runtime.Gosched()
	defer measured(b)()
	for i := 0; i < b.N; i += 2 {
		<-m
		m <- struct{}{}
	}
	b.StopTimer()
	stop = true
	<-m
	<-done
}

func BenchmarkRwLockRead(b *testing.B) {
	var m sync.RWMutex
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		m.RLock()
		sink++
		m.RUnlock()
	}
}

func BenchmarkSemaphore(b *testing.B) {
	s := semaphore.NewWeighted(4)
	ctx := context.Background()
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		if s.Acquire(ctx, 1) != nil {
			b.Fatal()
		}
		s.Release(1)
	}
}

func BenchmarkWaitGroup(b *testing.B) {
	var wg sync.WaitGroup
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		wg.Add(1)
		wg.Done()
		wg.Wait()
	}
}

func BenchmarkOnceDone(b *testing.B) {
	var once sync.Once
	f := func() { sink++ }
	defer measured(b)()
	for i := 0; i < b.N; i += 4 {
		once.Do(f)
		once.Do(f)
		once.Do(f)
		once.Do(f)
	}
}

// Who waits for a once under a context waits for a channel that its end closes.
func BenchmarkOnceDoneContext(b *testing.B) {
	ended := make(chan struct{})
	close(ended)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		select {
		case <-ended:
		case <-ctx.Done():
			b.Fatal(errors.New("done"))
		}
	}
}

func BenchmarkContextCancel(b *testing.B) {
	parent, stop := context.WithCancel(context.Background())
	defer stop()
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		_, cancel := context.WithCancel(parent)
		cancel()
	}
}

func BenchmarkContextTimeout(b *testing.B) {
	parent, stop := context.WithCancel(context.Background())
	defer stop()
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		_, cancel := context.WithTimeout(parent, time.Minute)
		cancel()
	}
}

type key int

func BenchmarkContextValueDepth5(b *testing.B) {
	ctx := context.Background()
	for i := 0; i < 6; i++ {
		ctx = context.WithValue(ctx, key(i), i)
	}
	n := 0
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		n += ctx.Value(key(0)).(int)
	}
	sink = n
}

func BenchmarkErrGroup3(b *testing.B) {
	parent := context.Background()
	f := func() error { return nil }
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		g, _ := errgroup.WithContext(parent)
		g.Go(f)
		g.Go(f)
		g.Go(f)
		if g.Wait() != nil {
			b.Fatal()
		}
	}
}

func BenchmarkSpawnAndWait(b *testing.B) {
	var wg sync.WaitGroup
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		wg.Add(1)
		go func() {
			sink++
			wg.Done()
		}()
		wg.Wait()
	}
}

func BenchmarkTimerArmCancel(b *testing.B) {
	t := time.NewTimer(time.Hour)
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		t.Reset(time.Minute)
		t.Stop()
	}
}

// With Do a caller waits whatever becomes of its context; ours is DoChan, which one can stop waiting for.
func BenchmarkSingleFlight(b *testing.B) {
	var g singleflight.Group
	f := func() (interface{}, error) { return 1, nil }
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		select {
		case r := <-g.DoChan("key", f):
			if r.Err != nil || r.Val.(int) != 1 {
				b.Fatal()
			}
		case <-ctx.Done():
			b.Fatal(errors.New("done"))
		}
	}
}

type config struct{ a, b int }

func BenchmarkSnapshotRead(b *testing.B) {
	var v atomic.Value
	v.Store(&config{1, 2})
	n := 0
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		n += v.Load().(*config).a
	}
	sink = n
}

const mapSize = 1024

func BenchmarkCowMapRead(b *testing.B) {
	var m sync.Map
	for i := 0; i < mapSize; i++ {
		m.Store(i, i)
	}
	m.Range(func(_, _ interface{}) bool { return true })
	n := 0
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		v, _ := m.Load(i & (mapSize - 1))
		n += v.(int)
	}
	sink = n
}

func BenchmarkCowMapWrite(b *testing.B) {
	var m sync.Map
	for i := 0; i < mapSize; i++ {
		m.Store(i, i)
	}
	m.Range(func(_, _ interface{}) bool { return true })
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		m.Store(i&(mapSize-1), i)
	}
}

// What a CowMap promises: each write makes a new version, which readers see as a whole.
func BenchmarkCowMapWriteVersion(b *testing.B) {
	var mu sync.Mutex
	var v atomic.Value
	first := make(map[int]int)
	for i := 0; i < mapSize; i++ {
		first[i] = i
	}
	v.Store(first)
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		mu.Lock()
		old := v.Load().(map[int]int)
		next := make(map[int]int, len(old))
		for k, x := range old {
			next[k] = x
		}
		next[i&(mapSize-1)] = i
		v.Store(next)
		mu.Unlock()
	}
}

func BenchmarkPoolGetPut(b *testing.B) {
	p := sync.Pool{New: func() interface{} { return new(config) }}
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		c := p.Get().(*config)
		c.a++
		p.Put(c)
	}
}

func BenchmarkChannelSendReceiveContext(b *testing.B) {
	c := make(chan int, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		select {
		case c <- i:
		case <-ctx.Done():
			b.Fatal(errors.New("done"))
		}
		select {
		case <-c:
		case <-ctx.Done():
			b.Fatal(errors.New("done"))
		}
	}
}
