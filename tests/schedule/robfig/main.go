// Reads cases as JSON lines and adds what Argo's own cron library makes of them: see ../cases.py.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

type testCase struct {
	Cron  string  `json:"cron"`
	Zone  string  `json:"zone"`
	After int64   `json:"after"`
	Count int     `json:"count"`
	Error string  `json:"error"`
	Runs  []int64 `json:"runs"`
}

// Argo validates the expression alone (workflow/validate) and schedules it with its zone (workflow/cron).
func parse(each testCase) (schedule cron.Schedule, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	if _, err := cron.ParseStandard(each.Cron); err != nil {
		return nil, err
	}
	return cron.ParseStandard("CRON_TZ=" + each.Zone + " " + each.Cron)
}

func main() {
	input, output := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		each := testCase{}
		if err := input.Decode(&each); err == io.EOF {
			return
		} else if err != nil {
			panic(err)
		}
		each.Runs = []int64{}
		schedule, err := parse(each)
		if err != nil {
			each.Error = err.Error()
		} else {
			moment := time.Unix(each.After, 0).UTC()
			for len(each.Runs) < each.Count {
				if moment = schedule.Next(moment); moment.IsZero() {
					break
				}
				each.Runs = append(each.Runs, moment.Unix())
			}
		}
		if err := output.Encode(each); err != nil {
			panic(err)
		}
	}
}
