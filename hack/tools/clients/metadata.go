package main

import (
	"context"
	"flag"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"
)

// metadataClient gets, lists or watches metadata alone, as the garbage collector does.
func metadataClient(flags *flag.FlagSet) func(ctx context.Context) error {
	var c connection
	var s selection
	c.register(flags)
	s.register(flags)
	verb := flags.String("verb", "list", "get, list or watch")
	name := flags.String("name", "", "for get, which requires it")
	from := flags.String("from", "", "resource version, for watch")
	return func(ctx context.Context) error {
		gvr, err := s.gvr()
		if err != nil {
			return err
		}
		config, err := c.config()
		if err != nil {
			return err
		}
		client, err := metadata.NewForConfig(config)
		if err != nil {
			return err
		}
		var resource metadata.ResourceInterface = client.Resource(gvr)
		if s.namespace != "" {
			resource = client.Resource(gvr).Namespace(s.namespace)
		}
		options := metav1.ListOptions{ResourceVersion: *from}
		switch *verb {
		case "get":
			if err := required(flags, "name"); err != nil {
				return err
			}
			object, err := resource.Get(ctx, *name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			say(lineOf("object", object))
			return nil
		case "list":
			list, err := resource.List(ctx, options)
			if err != nil {
				return err
			}
			for i := range list.Items {
				say(lineOf("object", &list.Items[i]))
			}
			say(line{"event": "listed", "count": len(list.Items), "resourceVersion": list.ResourceVersion})
			return nil
		case "watch":
			watcher, err := resource.Watch(ctx, options)
			if err != nil {
				return err
			}
			defer watcher.Stop()
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
		return usagef("--verb %s: must be get, list or watch", *verb)
	}
}
