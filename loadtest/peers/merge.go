// A gateway as one would write it in Go: errgroup and net/http, one goroutine a call, the JSON of all merged.
//
// merge [-maps] [-deadline D] LISTEN NAME=HOST:PORT/PATH...
//
// Without -maps the bodies stay json.RawMessage, which Marshal checks and compacts; with it they are decoded and encoded.
// A call that fails or does not answer by the deadline is null.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

type call struct{ name, url string }

func fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

func main() {
	maps := flag.Bool("maps", false, "decode the bodies and encode them again")
	deadline := flag.Duration("deadline", 10*time.Second, "of each request")
	flag.Parse()
	var calls []call
	for _, argument := range flag.Args()[1:] {
		name, address, _ := strings.Cut(argument, "=")
		calls = append(calls, call{name, "http://" + address})
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost, transport.DisableCompression = 0, 1024, true
	client := &http.Client{Transport: transport}

	handler := func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), *deadline)
		defer cancel()
		group, ctx := errgroup.WithContext(ctx)
		parts := make([]any, len(calls))
		for i, call := range calls {
			i, call := i, call
			group.Go(func() error {
				body, err := fetch(ctx, client, call.url)
				if err != nil {
					return nil
				}
				if !*maps {
					parts[i] = json.RawMessage(body)
					return nil
				}
				return json.Unmarshal(body, &parts[i])
			})
		}
		if err := group.Wait(); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		merged := make(map[string]any, len(calls))
		for i, call := range calls {
			merged[call.name] = parts[i]
		}
		body, err := json.Marshal(merged)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	}
	listener, err := net.Listen("tcp", flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, http.HandlerFunc(handler)))
}
