package unfit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// file is the content of the file. It counts only for the kernels that were judged.
type file struct {
	Kernels string            `json:"kernels"` // their sum
	Devices map[string]device `json:"devices"` // by name
}

// device is what is unfit on a device. It counts only for the driver that was judged.
type device struct {
	Driver string            `json:"driver"` // with its version
	Unfit  map[string]string `json:"unfit"`  // why, by key
}

// Path returns the path of the file of this user's devices. It lies beside the tuning file.
func Path() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "rwkv-gpu", "unfit.json"), nil
}

// mostBytes limits the size of the file. No number of devices and forms comes near.
const mostBytes = 4 << 20

// read reads the file. What is of other kernels is nothing, and so is no file.
func read(path string) (file, error) {
	var f file
	data, err := files.ReadRegular(path, mostBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return file{}, nil
	}
	if err == nil {
		if err = json.Unmarshal(data, &f); err != nil {
			err = fmt.Errorf("%s: want a list of unfit kernels, as 'rwkv-gpu doctor' writes it: %w", filepath.Base(path), err)
		}
	}
	if err != nil || f.Kernels != shaders.Sum("") {
		return file{}, err
	}
	return f, nil
}

// Read returns what a file says of a device with a driver. With an error it returns nothing known, which can be added to.
func Read(path, name, driver string) (*Known, error) {
	f, err := read(path)
	k := &Known{}
	if have, ok := f.Devices[name]; ok && have.Driver == driver {
		k.list = maps.Clone(have.Unfit)
	}
	return k, err
}

// patience is how long a process waits for others that write the file.
const patience = 2 * time.Second

// Write adds what is known to what the file says of a device with a driver, and takes out of that what is judged anew,
// which may be nil. Of the device with other drivers the file then says nothing.
func (k *Known) Write(path, name, driver string, judged func(way, why string) bool) error {
	return files.Exclusively(path, patience, func() error {
		f, err := read(path)
		if err != nil { // a damaged file helps nobody
			f = file{}
		}
		why := map[string]string{}
		if have, ok := f.Devices[name]; ok && have.Driver == driver {
			maps.Copy(why, have.Unfit)
		}
		if judged != nil {
			maps.DeleteFunc(why, judged)
		}
		_, now := k.All()
		maps.Copy(why, now)
		all := file{Kernels: shaders.Sum(""), Devices: f.Devices}
		if all.Devices == nil {
			all.Devices = map[string]device{}
		}
		if delete(all.Devices, name); len(why) > 0 {
			all.Devices[name] = device{driver, why}
		}
		data, err := json.MarshalIndent(&all, "", "\t")
		if err != nil {
			return err
		}
		return files.Keep(path, append(data, '\n'), false)
	})
}
