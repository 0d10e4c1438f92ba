package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// find returns the object of a kind and a name.
func find(t *testing.T, name string) object {
	t.Helper()
	for _, o := range manifests(t) {
		if o.name() == name {
			return o
		}
	}
	t.Fatalf("no %s", name)
	return nil
}

// covers reports whether a selector, which has labels, takes what has other labels.
func covers(selector, labels object) bool {
	for name, v := range selector {
		if labels[name] != v {
			return false
		}
	}
	return len(selector) > 0
}

// number returns a value as a whole number, -1 where it is none.
func number(v any) int64 {
	n, ok := v.(json.Number)
	if !ok {
		return -1
	}
	i, err := n.Int64()
	if err != nil {
		return -1
	}
	return i
}

// What one manifest says of another is there: labels, ports, volumes, secrets, names.
func TestReferences(t *testing.T) {
	set := find(t, "StatefulSet rwkv-gpu")
	pod := set.part("spec", "template", "spec")
	labels := set.part("spec", "template", "metadata", "labels")
	selectors := map[string]object{
		"the StatefulSet":         set.part("spec", "selector", "matchLabels"),
		"the Service":             find(t, "Service rwkv-gpu").part("spec", "selector"),
		"the Service of the pods": find(t, "Service rwkv-gpu-pods").part("spec", "selector"),
		"the budget":              find(t, "PodDisruptionBudget rwkv-gpu").part("spec", "selector", "matchLabels"),
		"the network policy":      find(t, "NetworkPolicy rwkv-gpu").part("spec", "podSelector", "matchLabels"),
		"the spread":              pod.list("topologySpreadConstraints")[0].part("labelSelector", "matchLabels"),
	}
	for who, s := range selectors {
		if !covers(s, labels) {
			t.Errorf("%s selects %v, the pods have %v", who, s, labels)
		}
	}
	target := find(t, "HorizontalPodAutoscaler rwkv-gpu").part("spec", "scaleTargetRef")
	if target.text("kind")+" "+target.text("name") != set.name() || target.text("apiVersion") != set.text("apiVersion") {
		t.Errorf("the autoscaler scales %v", target)
	}
	if name := set.text("spec", "serviceName"); find(t, "Service "+name).text("spec", "clusterIP") != "None" {
		t.Errorf("the Service %s of the pods is not headless", name)
	}
	ports := map[string]bool{}
	for _, c := range pod.list("containers") {
		for _, p := range c.list("ports") {
			ports[p.text("name")] = true
		}
	}
	for _, name := range []string{"rwkv-gpu", "rwkv-gpu-pods"} {
		for _, p := range find(t, "Service "+name).list("spec", "ports") {
			if !ports[p.text("targetPort")] {
				t.Errorf("Service %s goes to the port %v, the pods have %v", name, p["targetPort"], ports)
			}
		}
	}
	checkVolumes(t, set, pod)
	checkTimes(t, pod)
}

// checkVolumes checks that each mount has a volume, and that each secret has an example.
func checkVolumes(t *testing.T, set, pod object) {
	t.Helper()
	volumes := map[string]bool{}
	for _, v := range append(pod.list("volumes"), set.list("spec", "volumeClaimTemplates")...) {
		volumes[v.text("name")+v.text("metadata", "name")] = true
		if secret := v.text("secret", "secretName"); secret != "" {
			find(t, "Secret "+secret)
		}
	}
	for _, c := range append(pod.list("containers"), pod.list("initContainers")...) {
		for _, m := range c.list("volumeMounts") {
			if !volumes[m.text("name")] {
				t.Errorf("%s mounts %q, the volumes are %v", c.text("name"), m.text("name"), volumes)
			}
		}
		for _, e := range c.list("env") {
			if ref := e.part("valueFrom", "secretKeyRef"); ref != nil &&
				find(t, "Secret "+ref.text("name")).text("stringData", ref.text("key")) == "" {
				t.Errorf("%s: no example of the secret %v", e.text("name"), ref)
			}
		}
		if c.at("securityContext", "readOnlyRootFilesystem") != true || c.at("securityContext", "allowPrivilegeEscalation") != false {
			t.Errorf("%s may write its image, or become more than it is", c.text("name"))
		}
	}
}

// checkTimes checks that the server has the time to end in order before Kubernetes kills it.
func checkTimes(t *testing.T, pod object) {
	t.Helper()
	server := pod.list("containers")[0]
	var drain time.Duration
	for _, a := range server.at("args").([]any) {
		if d, ok := strings.CutPrefix(a.(string), "--drain="); ok {
			var err error
			if drain, err = time.ParseDuration(d); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := number(server.at("lifecycle", "preStop", "sleep", "seconds"))
	grace := number(pod["terminationGracePeriodSeconds"])
	if drain <= 0 || before < 1 || time.Duration(grace-before-10)*time.Second < drain {
		t.Errorf("want ten seconds more than %d s and --drain=%v, got %d s", before, drain, grace)
	}
}

// lines returns the words behind a word at the beginning of lines of the Containerfile.
func lines(t *testing.T, word string) (all []string) {
	t.Helper()
	data, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^`+word+` ((?:.*\\\n)*.*)`).FindAllStringSubmatch(string(data), -1) {
		all = append(all, m[1])
	}
	if len(all) == 0 {
		t.Fatalf("Containerfile: want a line %s, got none", word)
	}
	return all
}

// The image and the manifests agree: who the server is, where it listens, what it may write.
func TestImage(t *testing.T) {
	pod := find(t, "StatefulSet rwkv-gpu").part("spec", "template", "spec")
	server := pod.list("containers")[0]
	port := server.list("ports")[0].at("containerPort").(json.Number).String()
	c := pod.part("securityContext")
	if user := lines(t, "USER")[0]; user != c["runAsUser"].(json.Number).String()+":"+c["runAsGroup"].(json.Number).String() ||
		!strings.Contains(strings.Join(lines(t, "RUN"), "\n"), "--uid "+c["runAsUser"].(json.Number).String()+" ") {
		t.Errorf("the image's user is %s, the pods' %v", user, c)
	}
	if exposed := lines(t, "EXPOSE")[0]; exposed != port || !strings.Contains(lines(t, "CMD")[0], `":`+port+`"`) ||
		!strings.Contains(lines(t, "HEALTHCHECK")[0], "http://127.0.0.1:"+port+"/health") {
		t.Errorf("the image has the port %s, the pods %s", exposed, port)
	}
	volume := lines(t, "VOLUME")[0]
	for _, v := range strings.Fields(strings.ReplaceAll(lines(t, "ENV")[1], "\\\n", "")) {
		if name, path, _ := strings.Cut(v, "="); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, volume) {
			t.Errorf("%s is %s, outside of the volume %s", name, path, volume)
		}
	}
	mounted := false
	for _, m := range server.list("volumeMounts") {
		mounted = mounted || m.text("mountPath") == volume
	}
	if !mounted {
		t.Errorf("no pod mounts a volume at %s", volume)
	}
}

// kustomize changes what the manifests have: the image's name, the map of the model, the container that gets a GPU.
func TestKustomization(t *testing.T) {
	k := readYAML(t, filepath.Join("kubernetes", "kustomization.yaml"))[0]
	pod := find(t, "StatefulSet rwkv-gpu").part("spec", "template", "spec")
	maps := map[string]string{}
	for _, m := range k.list("configMapGenerator") {
		literal, _, _ := strings.Cut(m["literals"].([]any)[0].(string), "=")
		maps[m.text("name")] = literal
	}
	for _, c := range append(pod.list("containers"), pod.list("initContainers")...) {
		if c.text("image") != k.list("images")[0].text("name") {
			t.Errorf("%s: the image is %s, kustomization.yaml has %v", c.text("name"), c.text("image"), k["images"])
		}
		ref := c.list("env")[0].part("valueFrom", "configMapKeyRef")
		if ref.text("key") == "" || maps[ref.text("name")] != ref.text("key") {
			t.Errorf("%s: want a key of %v, got %v", c.text("name"), maps, ref)
		}
	}
	over := readYAML(t, filepath.Join("kubernetes-gpu", "kustomization.yaml"))[0]
	if base := filepath.Join("kubernetes-gpu", over["resources"].([]any)[0].(string)); base != "kubernetes" {
		t.Errorf("kubernetes-gpu changes %s", base) // which may not be a folder around it
	}
	gpu := readYAML(t, filepath.Join("kubernetes-gpu", over.list("patches")[0].text("path")))[0]
	if name := gpu.list("spec", "template", "spec", "containers")[0].text("name"); name != pod.list("containers")[0].text("name") {
		t.Errorf("gpu.yaml changes the container %q, which is not there", name)
	}
}
