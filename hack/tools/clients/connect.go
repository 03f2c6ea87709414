package main

import (
	"flag"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// connection says how to reach the API server, and as whom.
type connection struct {
	kubeconfig string
	requests   bool
}

func (c *connection) register(flags *flag.FlagSet) {
	flags.StringVar(&c.kubeconfig, "kubeconfig", "", "how to reach the API server; required")
	flags.BoolVar(&c.requests, "requests", false, "tell of every request")
}

// config has no limit of its own for requests: what is watched here is the server.
func (c *connection) config() (*rest.Config, error) {
	if c.kubeconfig == "" {
		return nil, usagef("--kubeconfig is required")
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	config.UserAgent = "coder-operator-clients"
	if c.requests {
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return teller{next} })
	}
	return config, nil
}

// teller tells of each request once its answer has begun.
type teller struct{ next http.RoundTripper }

func (t teller) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	l := line{
		"event":  "request",
		"method": request.Method,
		"path":   request.URL.Path,
		"query":  request.URL.Query(),
	}
	if err != nil {
		l["error"] = err.Error()
	} else {
		l["code"] = response.StatusCode
	}
	say(l)
	return response, err
}

// selection says what of which resource is read.
type selection struct {
	resource  string
	namespace string
}

func (s *selection) register(flags *flag.FlagSet) {
	flags.StringVar(&s.resource, "resource", "", "GROUP/VERSION/PLURAL; required")
	flags.StringVar(&s.namespace, "namespace", "", "only this one; left out, all")
}

func (s *selection) gvr() (schema.GroupVersionResource, error) {
	if s.resource == "" {
		return schema.GroupVersionResource{}, usagef("--resource is required")
	}
	parts := strings.Split(s.resource, "/")
	if len(parts) != 3 {
		return schema.GroupVersionResource{}, usagef("--resource %s: must be GROUP/VERSION/PLURAL", s.resource)
	}
	return schema.GroupVersionResource{Group: parts[0], Version: parts[1], Resource: parts[2]}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
