package main

import (
	"context"
	"flag"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"
	watchtools "k8s.io/client-go/tools/watch"
)

// retryWatch follows a resource from a version on, with the watcher that begins again by itself, until that gives up or
// the standard input ends.
func retryWatch(flags *flag.FlagSet) func(ctx context.Context) error {
	var c connection
	var s selection
	c.register(flags)
	s.register(flags)
	from := flags.String("from", "", "resource version to begin behind; required")
	return func(ctx context.Context) error {
		if err := required(flags, "from"); err != nil {
			return err
		}
		resource, err := dynamicResource(&c, &s)
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		watcher, err := newRetryWatcher(ctx, resource, *from)
		if err != nil {
			return err
		}
		commands := commandsOf(ctx)
		for {
			select {
			case event, open := <-watcher.ResultChan():
				if !open {
					say(line{"event": "stopped"})
					return nil
				}
				sayEvent(event)
			case <-commands:
				return nil
			}
		}
	}
}

// listWatch does what Argo CD does for each kind: it pages through the list, then follows from the list's version with a
// RetryWatcher, and begins anew whenever that gives up. "dump" on the standard input makes it tell all it holds.
func listWatch(flags *flag.FlagSet) func(ctx context.Context) error {
	var c connection
	var s selection
	c.register(flags)
	s.register(flags)
	limit := flags.Int64("limit", 500, "objects of a page")
	return func(ctx context.Context) error {
		resource, err := dynamicResource(&c, &s)
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		commands := commandsOf(ctx)
		for {
			ended, err := listAndFollow(ctx, resource, *limit, commands)
			if ended || err != nil {
				return err
			}
		}
	}
}

func listAndFollow(
	ctx context.Context, resource dynamic.ResourceInterface, limit int64, commands <-chan string,
) (ended bool, err error) {
	versions := map[string]string{}
	var from string
	p := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		list, err := resource.List(ctx, options)
		if err == nil {
			from = list.GetResourceVersion()
		}
		return list, err
	})
	p.PageSize = limit
	err = p.EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		o := object.(metav1.Object)
		versions[keyOf(o)] = o.GetResourceVersion()
		return nil
	})
	if err != nil {
		return true, err
	}
	say(line{"event": "listed", "count": len(versions), "resourceVersion": from})
	watcher, err := newRetryWatcher(ctx, resource, from)
	if err != nil {
		return true, err
	}
	defer watcher.Stop()
	for {
		select {
		case event, open := <-watcher.ResultChan():
			if !open {
				return false, nil
			}
			sayEvent(event)
			o, ok := event.Object.(metav1.Object)
			if event.Type == watch.Error || !ok {
				return false, nil
			}
			if event.Type == watch.Deleted {
				delete(versions, keyOf(o))
			} else {
				versions[keyOf(o)] = o.GetResourceVersion()
			}
		case _, open := <-commands:
			say(line{"event": "set", "objects": versions})
			if !open {
				return true, nil
			}
		}
	}
}

func dynamicResource(c *connection, s *selection) (dynamic.ResourceInterface, error) {
	gvr, err := s.gvr()
	if err != nil {
		return nil, err
	}
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	if s.namespace == "" {
		return client.Resource(gvr), nil
	}
	return client.Resource(gvr).Namespace(s.namespace), nil
}

func newRetryWatcher(
	ctx context.Context, resource dynamic.ResourceInterface, from string,
) (*watchtools.RetryWatcher, error) {
	return watchtools.NewRetryWatcherWithContext(ctx, from, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return resource.Watch(ctx, options)
		},
	})
}
