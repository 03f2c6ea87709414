package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	probeEvery = 250 * time.Millisecond
	// probesAtOnce and probeTimeout are those of kube-apiserver's own probe of an APIService.
	probesAtOnce = 5
	probeTimeout = 5 * time.Second
)

// load lets clients read a path without pause, and asks a server meanwhile whether it is there, as kube-apiserver does.
func load(flags *flag.FlagSet) func(ctx context.Context) error {
	var c connection
	var p probe
	c.register(flags)
	p.register(flags)
	path := flags.String("path", "", "that is read; required")
	clients := flags.Int("clients", 20, "that read at the same time")
	duration := flags.Duration("for", 30*time.Second, "how long")
	gzip := flags.Bool("gzip", false, "ask for compressed answers, which are not unpacked")
	return func(ctx context.Context) error {
		if err := required(flags, "path"); err != nil {
			return err
		}
		if p.url != "" {
			if err := required(flags, "probe-server-name", "probe-ca", "probe-cert", "probe-key"); err != nil {
				return err
			}
		}
		r, err := newRaw(&c)
		if err != nil {
			return err
		}
		probed, err := p.client()
		if err != nil {
			return err
		}
		encoding := "identity"
		if *gzip {
			encoding = "gzip"
		}
		ctx, stop := context.WithTimeout(ctx, *duration)
		defer stop()
		var all sync.WaitGroup
		var mutex sync.Mutex
		var lists, failures int64
		var failure string
		for range *clients {
			all.Go(func() {
				for ctx.Err() == nil {
					_, err := r.read(ctx, *path, map[string]string{"Accept-Encoding": encoding})
					if ctx.Err() != nil {
						return
					}
					mutex.Lock()
					lists++
					if err != nil {
						failures, failure = failures+1, err.Error()
					}
					mutex.Unlock()
				}
			})
		}
		if probed != nil {
			p.run(ctx, probed)
		}
		all.Wait()
		say(line{"event": "load", "lists": lists, "failures": failures, "failure": failure})
		return nil
	}
}

// probe is what kube-apiserver asks an aggregated server every half minute: its group's path, five times at once.
type probe struct {
	url, serverName, ca, certificate, key string
}

func (p *probe) register(flags *flag.FlagSet) {
	flags.StringVar(&p.url, "probe", "", "URL that is asked again and again; left out, none is")
	flags.StringVar(&p.serverName, "probe-server-name", "", "in its certificate; required with --probe, as are the next three")
	flags.StringVar(&p.ca, "probe-ca", "", "PEM file of its authority")
	flags.StringVar(&p.certificate, "probe-cert", "", "PEM file of the front proxy's certificate")
	flags.StringVar(&p.key, "probe-key", "", "and of its key")
}

func (p *probe) client() (*http.Client, error) {
	if p.url == "" {
		return nil, nil
	}
	authority, err := os.ReadFile(p.ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s holds no certificate", p.ca)
	}
	pair, err := tls.LoadX509KeyPair(p.certificate, p.key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: roots, ServerName: p.serverName, Certificates: []tls.Certificate{pair}}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: probesAtOnce}
	return &http.Client{Transport: transport, Timeout: probeTimeout}, nil
}

// run probes until the time is over and tells of each probe.
func (p *probe) run(ctx context.Context, client *http.Client) {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		var round sync.WaitGroup
		for range probesAtOnce {
			round.Go(func() {
				// One that has begun is told of, also when the time is over meanwhile.
				start := time.Now()
				code, err := p.once(client)
				l := line{"event": "probe", "ms": milliseconds(time.Since(start)), "code": code}
				if err != nil {
					l["error"] = err.Error()
				}
				say(l)
			})
		}
		round.Wait()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (p *probe) once(client *http.Client) (int, error) {
	request, err := http.NewRequest(http.MethodGet, p.url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("X-Remote-User", "system:kube-aggregator")
	request.Header.Set("X-Remote-Group", "system:masters")
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}
