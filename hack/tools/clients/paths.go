package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// texts is a flag that may be repeated.
type texts []string

func (t *texts) String() string { return strings.Join(*t, " ") }

func (t *texts) Set(text string) error {
	*t = append(*t, text)
	return nil
}

// raw sends requests for plain paths, and decodes nothing.
type raw struct {
	client *http.Client
	base   string
}

// newRaw leaves compression to the caller: Go would ask for it and undo it by itself.
func newRaw(c *connection) (*raw, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	config.DisableCompression = true
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	return &raw{client: client, base: strings.TrimSuffix(config.Host, "/")}, nil
}

// open sends a request; an answer that is no success becomes an error. The body has to be closed.
func (r *raw) open(ctx context.Context, method, path string, headers map[string]string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := r.client.Do(request)
	if err != nil || response.StatusCode/100 == 2 {
		return response, err
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	status := apierrors.NewGenericServerResponse(response.StatusCode, method, noResource, path, string(text), 0, true)
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		return nil, &busyError{status, time.Duration(seconds) * time.Second}
	}
	return nil, status
}

// read reads an answer to its end.
func (r *raw) read(ctx context.Context, path string, headers map[string]string) (bytes int64, err error) {
	response, err := r.open(ctx, http.MethodGet, path, headers, nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if wanted := headers["Accept-Encoding"]; wanted == "gzip" && response.Header.Get("Content-Encoding") != "gzip" {
		return 0, fmt.Errorf("%s was not compressed", path)
	}
	return io.Copy(io.Discard, response.Body)
}

// A busyError says when the server wants to be asked again.
type busyError struct {
	error
	after time.Duration
}

func (e *busyError) Unwrap() error { return e.error }

// reads times reads of several paths, one after the other and in turn, so that all meet the same conditions.
func reads(flags *flag.FlagSet) func(ctx context.Context) error {
	var c connection
	c.register(flags)
	var paths texts
	flags.Var(&paths, "path", "may be repeated; required")
	times := flags.Int("times", 10, "reads of each path")
	warm := flags.Int("warm", 2, "reads of each path before those, which are not told of")
	gzip := flags.Bool("gzip", false, "ask for compressed answers, which are not unpacked")
	return func(ctx context.Context) error {
		if err := required(flags, "path"); err != nil {
			return err
		}
		r, err := newRaw(&c)
		if err != nil {
			return err
		}
		headers := map[string]string{"Accept-Encoding": "identity"}
		if *gzip {
			headers["Accept-Encoding"] = "gzip"
		}
		for i := range *warm + *times {
			for j := range paths {
				// There and back, so that none always comes behind the same other.
				path := paths[j]
				if i%2 == 1 {
					path = paths[len(paths)-1-j]
				}
				start := time.Now()
				bytes, err := r.read(ctx, path, headers)
				took := time.Since(start)
				if err != nil {
					return err
				}
				if i >= *warm {
					say(line{"event": "read", "path": path, "ms": milliseconds(took), "bytes": bytes})
				}
			}
		}
		return nil
	}
}
