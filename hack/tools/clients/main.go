// Command clients reads resources of an API server as programs do that are built on client-go, and tells what they
// saw in lines of JSON. The tests of the aggregated endpoint and the benchmark use it.
//
// Every command takes flags only. Those that follow a resource go on until their standard input ends, and answer
// lines that are read from it. Exit codes: 0 done, 1 failed (the last line has the event "failed"), 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"k8s.io/klog/v2"
)

// A command adds its flags to the set and returns what is to be done once they are parsed.
type command func(flags *flag.FlagSet) func(ctx context.Context) error

var commands = map[string]command{
	"informer":   informer,
	"retrywatch": retryWatch,
	"pager":      pages,
	"listwatch":  listWatch,
	"metadata":   metadataClient,
	"mapper":     mapper,
	"openapi":    openAPI,
	"gnostic":    gnostic,
	"reads":      reads,
	"watchers":   watchers,
	"hold":       hold,
	"load":       load,
}

// A usageError is about the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// required complains of the first of these flags that was left out.
func required(flags *flag.FlagSet, names ...string) error {
	for _, name := range names {
		if flags.Lookup(name).Value.String() == "" {
			return usagef("--%s is required", name)
		}
	}
	return nil
}

func main() {
	names := make([]string, 0, len(commands))
	for name := range commands {
		names = append(names, name)
	}
	slices.Sort(names)
	var chosen command
	if len(os.Args) > 1 {
		chosen = commands[os.Args[1]]
	}
	if chosen == nil {
		fmt.Fprintf(os.Stderr, "Usage: clients COMMAND [flags], with one of the commands: %s\n", strings.Join(names, ", "))
		os.Exit(2)
	}
	flags := flag.NewFlagSet("clients "+os.Args[1], flag.ExitOnError)
	run := chosen(flags)
	_ = flags.Parse(os.Args[2:])
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx)
	klog.Flush()
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		say(line{"event": "failed", "error": err.Error(), "status": statusOf(err)})
		os.Exit(1)
	}
}
