package main

import (
	"context"
	"flag"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const lookEvery = 2 * time.Millisecond

// informer runs a SharedInformer until the standard input ends. "dump" on it makes it tell all it holds. Whether it
// begins with a list or with a watch is for KUBE_FEATURE_WatchListClient in the environment to say.
func informer(flags *flag.FlagSet) func(ctx context.Context) error {
	var c connection
	var s selection
	c.register(flags)
	s.register(flags)
	client := flags.String("client", "dynamic", "dynamic, metadata or typed")
	kind := flags.String("kind", "", "for typed")
	return func(ctx context.Context) error {
		gvr, err := s.gvr()
		if err != nil {
			return err
		}
		config, err := c.config()
		if err != nil {
			return err
		}
		shared, err := newInformer(config, gvr, s.namespace, *client, *kind)
		if err != nil {
			return err
		}
		failures := func(_ context.Context, _ *cache.Reflector, err error) {
			say(line{"event": "watch-error", "error": err.Error(), "status": statusOf(err)})
		}
		if err := shared.SetWatchErrorHandlerWithContext(failures); err != nil {
			return err
		}
		if _, err := shared.AddEventHandler(handler()); err != nil {
			return err
		}
		return followUntilTold(ctx, shared)
	}
}

func followUntilTold(ctx context.Context, shared cache.SharedIndexInformer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	start := time.Now()
	go shared.RunWithContext(ctx)
	go func() {
		for !shared.HasSynced() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(lookEvery):
			}
		}
		count := len(shared.GetStore().ListKeys())
		say(line{"event": "synced", "ms": milliseconds(time.Since(start)), "count": count})
	}()
	for command := range commandsOf(ctx) {
		if command != "dump" {
			return usagef("%q: the only command is dump", command)
		}
		sayStore(shared)
	}
	sayStore(shared)
	return nil
}

func newInformer(
	config *rest.Config, gvr schema.GroupVersionResource, namespace, client, kind string,
) (cache.SharedIndexInformer, error) {
	switch client {
	case "dynamic":
		d, err := dynamic.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		return dynamicinformer.NewFilteredDynamicInformer(d, gvr, namespace, 0, cache.Indexers{}, nil).Informer(), nil
	case "metadata":
		m, err := metadata.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		return metadatainformer.NewFilteredMetadataInformer(m, gvr, namespace, 0, cache.Indexers{}, nil).Informer(), nil
	case "typed":
		if kind == "" {
			return nil, usagef("--kind is required for typed")
		}
		r, codec, err := typedClient(config, gvr.GroupVersion(), kind)
		if err != nil {
			return nil, err
		}
		request := func(options metav1.ListOptions) *rest.Request {
			return r.Get().Resource(gvr.Resource).Namespace(namespace).VersionedParams(&options, codec)
		}
		lw := &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				list := &objectList{}
				return list, request(options).Do(ctx).Into(list)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				options.Watch = true
				return request(options).Watch(ctx)
			},
		}
		return cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(lw, r), &object{}, 0, cache.Indexers{}), nil
	}
	return nil, usagef("--client %s: must be dynamic, metadata or typed", client)
}

func handler() cache.ResourceEventHandlerFuncs {
	tell := func(event string, value any) {
		if last, ok := value.(cache.DeletedFinalStateUnknown); ok {
			value = last.Obj
		}
		object, ok := value.(runtime.Object)
		if !ok {
			say(line{"event": "failed", "error": "not an object"})
			return
		}
		say(lineOf(event, object))
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(value any) { tell("added", value) },
		UpdateFunc: func(before, after any) {
			b, _ := meta.Accessor(before)
			a, _ := meta.Accessor(after)
			if a.GetResourceVersion() != b.GetResourceVersion() {
				tell("modified", after)
			}
		},
		DeleteFunc: func(value any) { tell("deleted", value) },
	}
}

func sayStore(shared cache.SharedIndexInformer) {
	versions := map[string]string{}
	for _, value := range shared.GetStore().List() {
		accessor, err := meta.Accessor(value)
		if err != nil {
			say(line{"event": "failed", "error": err.Error()})
			return
		}
		versions[keyOf(accessor)] = accessor.GetResourceVersion()
	}
	say(line{"event": "set", "objects": versions})
}
