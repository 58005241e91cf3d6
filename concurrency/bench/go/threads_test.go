// The rows across threads, in Go.
package bench

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// LockOSThread keeps the two sides on two threads, as two loops are.
func BenchmarkThreadsPingPong(b *testing.B) {
	ping, pong := make(chan int), make(chan int)
	go func() {
		runtime.LockOSThread()
		for v := range ping {
			pong <- v
		}
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		ping <- i
		<-pong
	}
	b.StopTimer()
	close(ping)
}

func BenchmarkThreadsStream(b *testing.B) {
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

func BenchmarkThreadsMutex(b *testing.B) {
	var m sync.Mutex
	var wg sync.WaitGroup
	n := 0
	defer measured(b)()
	wg.Add(2)
	for t := 0; t < 2; t++ {
		go func() {
			for i := 0; i < b.N/2; i++ {
				m.Lock()
				n++
				m.Unlock()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	sink = n
}

func BenchmarkThreadsSnapshotRead(b *testing.B) {
	var v atomic.Value
	v.Store(&config{1, 2})
	var stop int32
	done := make(chan struct{})
	go func() {
		for i := 0; atomic.LoadInt32(&stop) == 0; i++ {
			if i&0xffff == 0 {
				v.Store(&config{i, i})
			}
		}
		close(done)
	}()
	n := 0
	defer measured(b)()
	for i := 0; i < b.N; i++ {
		n += v.Load().(*config).a
	}
	b.StopTimer()
	atomic.StoreInt32(&stop, 1)
	<-done
	sink = n
}
