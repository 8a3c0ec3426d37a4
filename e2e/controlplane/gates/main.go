// Command gates prints the feature gates that kube-proxy knows, as src/config/features/gates.txt
// has them: name, stage, default, whether that is locked, and the gates that have to be on with it.
package main

import (
	"fmt"
	"slices"
	"strings"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	// Whatever it links adds its gates.
	_ "k8s.io/kubernetes/cmd/kube-proxy/app"
)

func main() {
	stages := map[string]string{"ALPHA": "alpha", "BETA": "beta", "": "stable", "DEPRECATED": "deprecated"}
	gates := utilfeature.DefaultMutableFeatureGate
	var lines []string
	for name, spec := range gates.GetAll() {
		if name == "AllAlpha" || name == "AllBeta" {
			continue
		}
		stage, known := stages[string(spec.PreRelease)]
		if !known {
			panic("stage " + string(spec.PreRelease))
		}
		words := []string{string(name), stage, "off"}
		if spec.Default {
			words[2] = "on"
		}
		if spec.LockToDefault {
			words = append(words, "locked")
		}
		if needed := gates.Dependencies()[name]; len(needed) > 0 {
			words = append(append(words, "needs"), sorted(needed)...)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	slices.Sort(lines)
	fmt.Println(strings.Join(lines, "\n"))
}

func sorted(gates []featuregate.Feature) []string {
	var names []string
	for _, gate := range gates {
		names = append(names, string(gate))
	}
	slices.Sort(names)
	return names
}
