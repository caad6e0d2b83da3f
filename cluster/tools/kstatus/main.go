// Command kstatus says how Flux judges objects. On standard input it reads a JSON document with the objects, as the API server gives
// them, and, where Flux shall go by health check expressions rather than by conditions, these:
//
//	{"objects": [{...}], "expressions": {"current": "...", "failed": "...", "inProgress": "..."}}
//
// It writes a JSON array of their statuses and messages, computed by the libraries that Flux itself waits with.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

const library = "github.com/fluxcd/cli-utils"

type question struct {
	Objects     []json.RawMessage                 `json:"objects"`
	Expressions *kustomize.HealthCheckExpressions `json:"expressions"`
}

type judgement struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--version" {
		fmt.Println(version())
		return
	}
	if err := answer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer() error {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return fmt.Errorf("standard input is no JSON document: %w", err)
	}
	compute, err := by(asked.Expressions)
	if err != nil {
		return err
	}
	judged := make([]judgement, 0, len(asked.Objects))
	for place, raw := range asked.Objects {
		object := map[string]any{}
		// Not encoding/json: the libraries look for whole numbers as int64.
		if err := utiljson.Unmarshal(raw, &object); err != nil {
			return fmt.Errorf("object %d: %w", place, err)
		}
		result, err := compute(&unstructured.Unstructured{Object: object})
		if err != nil {
			return fmt.Errorf("object %d: %w", place, err)
		}
		judged = append(judged, judgement{result.Status.String(), result.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(judged)
}

func by(expressions *kustomize.HealthCheckExpressions) (func(*unstructured.Unstructured) (*status.Result, error), error) {
	if expressions == nil {
		return status.Compute, nil
	}
	evaluator, err := cel.NewStatusEvaluator(expressions)
	if err != nil {
		return nil, err
	}
	return func(object *unstructured.Unstructured) (*status.Result, error) {
		return evaluator.Evaluate(context.Background(), object)
	}, nil
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dependency := range info.Deps {
		if dependency.Path == library {
			return library + " " + dependency.Version
		}
	}
	return "unknown"
}
