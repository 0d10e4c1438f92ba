package doctor

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// trouble is a known trouble of a driver. What is empty matches everything.
type trouble struct {
	ID       string   `json:"id"`
	DriverID int      `json:"driver_id"` // VkDriverId
	Device   string   `json:"device"`    // a part of the device's name
	Type     gpu.Type `json:"type"`      // of the device
	From     string   `json:"from"`      // the first version of the driver
	Before   string   `json:"before"`    // the first version without it
	Level    Level    `json:"level"`
	Trouble  string   `json:"trouble"`
	Do       string   `json:"do"`
	Source   string   `json:"source"` // URL
}

//go:embed troubles.json
var troublesFile []byte

// troubles returns the known troubles of all drivers.
func troubles() ([]trouble, error) {
	var list []trouble
	if err := json.Unmarshal(troublesFile, &list); err != nil {
		return nil, fmt.Errorf("troubles.json: %w", err)
	}
	return list, nil
}

// versions matches a version in a driver's name.
var versions = regexp.MustCompile(`\d+(?:\.\d+)+`)

// concerns reports whether a device has the trouble. Without a version in the driver's name, one with a range does not
// count.
func (t *trouble) concerns(in gpu.Info) bool {
	if t.DriverID != in.DriverID || !strings.Contains(strings.ToLower(in.Name), strings.ToLower(t.Device)) || t.Type != "" && t.Type != in.Type {
		return false
	}
	v := versions.FindString(in.Driver)
	if t.From == "" && t.Before == "" {
		return true
	}
	return v != "" && (t.From == "" || compareVersions(v, t.From) >= 0) && (t.Before == "" || compareVersions(v, t.Before) < 0)
}

// compareVersions compares versions of numbers with points, where a missing number is 0.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		if d := part(as, i) - part(bs, i); d != 0 {
			return d
		}
	}
	return 0
}

func part(list []string, i int) int {
	if i >= len(list) {
		return 0
	}
	n, err := strconv.Atoi(list[i])
	if err != nil { // more digits than a number has
		return 1 << 30
	}
	return n
}

// findTroubles adds the known troubles of a device's driver.
func (r *Report) findTroubles(in gpu.Info) error {
	list, err := troubles()
	if err != nil {
		return err
	}
	for i := range list {
		if t := &list[i]; t.concerns(in) {
			r.Findings = append(r.Findings, Finding{t.Level, t.Trouble, t.Do, t.Source})
		}
	}
	return nil
}
