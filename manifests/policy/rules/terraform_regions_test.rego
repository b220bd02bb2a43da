package refeed.rules.terraform_regions_test

import data.refeed.fixtures
import data.refeed.rules.terraform_regions

fields contains violation.field if some violation in terraform_regions.deny

plan(after) := fixtures.plan("google_any", after)

test_region_allowed_allows if {
	every after in [
		{},
		{"location": "europe-west1"},
		{"location": "EUROPE-WEST1"},
		{"zone": "europe-west1-b"},
		{"location": "eu"},
		{"location": "global"},
		{"region": "https://www.googleapis.com/compute/v1/projects/p/regions/europe-west1"},
		{"location": "europe-west1", "node_locations": ["europe-west1-b"]},
	] {
		count(fields) == 0 with input as plan(after) with data.policy as fixtures.policy
	}
}

test_region_allowed_denies if {
	every key in ["location", "region", "zone", "location_id"] {
		fields == {key} with input as plan({key: "us-central1"}) with data.policy as fixtures.policy
	}
	abroad := plan({"location": "europe-west1", "node_locations": ["us-central1-a"]})
	fields == {"node_locations"} with input as abroad with data.policy as fixtures.policy
}
