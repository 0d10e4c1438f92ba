package deploy

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The replicas reach the NATS servers that the chart makes, and its policy lets them: the number of servers, their port, the
// secret that both have.
func TestNATS(t *testing.T) {
	values := readYAML(t, filepath.Join("kubernetes", "nats-values.yaml"))[0]
	server := find(t, "StatefulSet rwkv-gpu").part("spec", "template", "spec").list("containers")[0]
	args := ""
	for _, a := range server["args"].([]any) {
		args += a.(string) + "\n"
	}
	servers := number(values.at("config", "cluster", "replicas"))
	var want []string
	for i := range servers {
		want = append(want, fmt.Sprintf("nats://nats-%d.nats-headless:4222", i))
	}
	if !strings.Contains(args, "--cluster="+strings.Join(want, ",")+"\n") || !strings.Contains(args, fmt.Sprintf("--cluster-copies=%d\n", servers)) {
		t.Errorf("want the servers %v with as many copies, got %s", want, args)
	}
	if values.at("config", "cluster", "enabled") != true || values.at("config", "jetstream", "enabled") != true {
		t.Error("want servers that work together, with JetStream")
	}
	token := regexp.MustCompile(`\$(\w+)`).FindStringSubmatch(values.text("config", "merge", "authorization", "token"))
	if token == nil {
		t.Fatal("NATS asks for no token")
	}
	ref := values.part("container", "env", token[1], "valueFrom", "secretKeyRef")
	for _, e := range server.list("env") {
		if e.text("name") == "RWKV_CLUSTER_TOKEN" {
			if own := e.part("valueFrom", "secretKeyRef"); own.text("name") != ref.text("name") || own.text("key") != ref.text("key") {
				t.Errorf("NATS has the token of %v, the replicas that of %v", ref, own)
			}
			return
		}
	}
	t.Error("the replicas have no token")
}
