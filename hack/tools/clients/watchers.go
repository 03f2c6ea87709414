package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

var noResource schema.GroupResource

const (
	// atOnce is how many watches are opened at the same time.
	atOnce = 16
	// longestWait is for one change to come to all watches.
	longestWait = 30 * time.Second
	// longestLine is of an event.
	longestLine = 1 << 20
	// pause is between a change and the next.
	pause = 200 * time.Millisecond
)

// A fan is a number of watches of the same path.
type fan struct {
	path string
	stop context.CancelFunc
	// arrivals has the time at which each watch saw an object of a version.
	arrivals chan arrival
	done     sync.WaitGroup
	ended    chan error
}

type arrival struct {
	version string
	at      time.Time
}

// openFan opens the watches behind the present version of their list, and comes back when all are open.
func openFan(ctx context.Context, r *raw, path string, count int) (*fan, error) {
	version, err := versionOf(ctx, r, path)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	f := &fan{path: path, stop: stop, arrivals: make(chan arrival, count*4), ended: make(chan error, count)}
	slots := make(chan struct{}, atOnce)
	failures := make(chan error, count)
	var opening sync.WaitGroup
	for range count {
		slots <- struct{}{}
		opening.Add(1)
		f.done.Add(1)
		go func() {
			defer f.done.Done()
			body, err := openWatch(ctx, r, path, version)
			<-slots
			failures <- err
			opening.Done()
			if err != nil {
				return
			}
			defer body.Close()
			f.ended <- f.follow(ctx, body)
		}()
	}
	opening.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			f.close()
			return nil, err
		}
	}
	return f, nil
}

func (f *fan) close() {
	f.stop()
	f.done.Wait()
}

// follow notes when each event came, before it is looked at.
func (f *fan) follow(ctx context.Context, body io.Reader) error {
	reader := bufio.NewReaderSize(body, 16<<10)
	for {
		event, err := readLine(reader)
		at := time.Now()
		if err != nil {
			return err
		}
		if bytes.HasPrefix(event, []byte(`{"type":"ERROR"`)) {
			return fmt.Errorf("a watch of %s ended: %s", f.path, event)
		}
		select {
		case f.arrivals <- arrival{versionIn(event), at}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func readLine(reader *bufio.Reader) ([]byte, error) {
	line, err := reader.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) && len(long) < longestLine {
		line, err = reader.ReadSlice('\n')
		long = append(long, line...)
	}
	return long, err
}

// versionIn finds the version of an event's object: nothing before it in an object has a field of that name.
func versionIn(event []byte) string {
	const field = `"resourceVersion":"`
	_, rest, found := bytes.Cut(event, []byte(field))
	if !found {
		return ""
	}
	version, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(version)
}

func openWatch(ctx context.Context, r *raw, path, version string) (io.ReadCloser, error) {
	for {
		response, err := r.open(ctx, http.MethodGet, path+"?watch=true&timeoutSeconds=3000&resourceVersion="+version, nil, nil)
		var busy *busyError
		if err == nil {
			return response.Body, nil
		}
		if !errors.As(err, &busy) {
			return nil, err
		}
		select {
		case <-time.After(busy.after):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// versionOf is that of the whole list, of which a single object is read.
func versionOf(ctx context.Context, r *raw, path string) (string, error) {
	response, err := r.open(ctx, http.MethodGet, path+"?limit=1", nil, nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	err = json.NewDecoder(response.Body).Decode(&list)
	return list.Metadata.ResourceVersion, err
}

// watchers opens many watches of each path in turn, changes an object again and again, and tells for each change after
// how many nanoseconds every one of the watches had it, counted from the moment at which the change was asked for.
func watchers(flags *flag.FlagSet) func(ctx context.Context) error {
	var c connection
	c.register(flags)
	var paths texts
	flags.Var(&paths, "path", "of a list to watch; may be repeated; required")
	object := flags.String("change", "", "path of the object that is changed; required")
	count := flags.Int("count", 1000, "watches of a path")
	changes := flags.Int("changes", 10, "changes in a round")
	rounds := flags.Int("rounds", 2, "of all paths")
	return func(ctx context.Context) error {
		if err := required(flags, "path", "change"); err != nil {
			return err
		}
		r, err := newRaw(&c)
		if err != nil {
			return err
		}
		for round := range *rounds {
			for j := range paths {
				path := paths[j]
				if round%2 == 1 {
					path = paths[len(paths)-1-j]
				}
				if err := oneRound(ctx, r, path, *object, *count, *changes); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func oneRound(ctx context.Context, r *raw, path, object string, count, changes int) error {
	f, err := openFan(ctx, r, path, count)
	if err != nil {
		return err
	}
	defer f.close()
	// The first change warms the way up and is not told of.
	for i := range changes + 1 {
		time.Sleep(pause)
		sent := time.Now()
		version, err := change(ctx, r, object)
		if err != nil {
			return err
		}
		arrivals, err := f.collect(version, sent, count)
		if err != nil {
			return err
		}
		if i > 0 {
			say(line{"event": "change", "path": path, "arrivals": arrivals})
		}
	}
	return nil
}

// collect waits until every watch has seen this version.
func (f *fan) collect(version string, since time.Time, count int) ([]int64, error) {
	arrivals := make([]int64, 0, count)
	late := time.After(longestWait)
	for len(arrivals) < count {
		select {
		case a := <-f.arrivals:
			if a.version == version {
				arrivals = append(arrivals, a.at.Sub(since).Nanoseconds())
			}
		case err := <-f.ended:
			return nil, fmt.Errorf("a watch of %s ended early: %w", f.path, err)
		case <-late:
			return nil, fmt.Errorf("only %d of %d watches of %s saw version %s", len(arrivals), count, f.path, version)
		}
	}
	return arrivals, nil
}

// change gives an object a new annotation.
func change(ctx context.Context, r *raw, path string) (version string, err error) {
	body := fmt.Sprintf(`{"metadata":{"annotations":{"bench.coder.com/changed":"%d"}}}`, time.Now().UnixNano())
	headers := map[string]string{"Content-Type": "application/merge-patch+json"}
	response, err := r.open(ctx, http.MethodPatch, path, headers, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return versionIn(text), err
}

// hold opens many watches, says so, and keeps them until the standard input ends.
func hold(flags *flag.FlagSet) func(ctx context.Context) error {
	var c connection
	c.register(flags)
	path := flags.String("path", "", "of a list; required")
	count := flags.Int("count", 500, "watches")
	return func(ctx context.Context) error {
		if err := required(flags, "path"); err != nil {
			return err
		}
		r, err := newRaw(&c)
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		f, err := openFan(ctx, r, *path, *count)
		if err != nil {
			return err
		}
		defer f.close()
		say(line{"event": "open"})
		commands := commandsOf(ctx)
		for {
			select {
			case <-f.arrivals:
			case err := <-f.ended:
				return fmt.Errorf("a watch of %s ended early: %w", *path, err)
			case _, open := <-commands:
				if !open {
					return nil
				}
			}
		}
	}
}
