package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// A line of the output.
type line map[string]any

var sayMutex sync.Mutex

// say writes one line as a whole.
func say(l line) {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	sayMutex.Lock()
	defer sayMutex.Unlock()
	_, _ = os.Stdout.Write(append(text, '\n'))
}

// statusOf tells what the API server said; nil when the error is none of its.
func statusOf(err error) any {
	var status apierrors.APIStatus
	if err == nil || !errors.As(err, &status) {
		return nil
	}
	s := status.Status()
	return line{"code": s.Code, "reason": s.Reason, "message": s.Message}
}

// lineOf tells which object an event is about, or what its Status says.
func lineOf(event string, object runtime.Object) line {
	l := line{"event": event}
	if status, ok := object.(*metav1.Status); ok {
		l["code"], l["reason"], l["message"] = status.Code, status.Reason, status.Message
		return l
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		l["error"] = err.Error()
		return l
	}
	l["key"] = keyOf(accessor)
	l["uid"] = accessor.GetUID()
	l["resourceVersion"] = accessor.GetResourceVersion()
	l["labels"] = accessor.GetLabels()
	return l
}

func keyOf(object metav1.Object) string {
	if object.GetNamespace() == "" {
		return object.GetName()
	}
	return object.GetNamespace() + "/" + object.GetName()
}

// sayEvent tells of an event of a watch. An error is decoded as a client would do it.
func sayEvent(event watch.Event) {
	if event.Type == watch.Error {
		say(line{"event": "ERROR", "status": statusOf(apierrors.FromObject(event.Object))})
		return
	}
	say(lineOf(string(event.Type), event.Object))
}

// commandsOf gives the lines of the standard input; it is closed when that ends.
func commandsOf(ctx context.Context) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(os.Stdin)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}
