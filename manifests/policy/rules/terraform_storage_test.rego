package refeed.rules.terraform_storage_test

import data.refeed.fixtures
import data.refeed.rules.terraform_storage

names contains violation.rule if some violation in terraform_storage.deny

bucket := {"public_access_prevention": "enforced", "uniform_bucket_level_access": true}

plan(after) := fixtures.plan("google_storage_bucket", after)

passes if count(names) == 0 with input as plan(bucket)

test_bucket_not_public_allows if passes

test_bucket_not_public_denies if {
	names == {"bucket-not-public"} with input as plan(fixtures.without(bucket, "/public_access_prevention"))
	inherited := fixtures.changed(bucket, "/public_access_prevention", "inherited")
	names == {"bucket-not-public"} with input as plan(inherited)
}

test_bucket_uniform_allows if passes

test_bucket_uniform_denies if {
	names == {"bucket-uniform"} with input as plan(fixtures.without(bucket, "/uniform_bucket_level_access"))
}

test_other_resources_are_ignored if count(names) == 0 with input as fixtures.plan("google_compute_network", {})

test_deleted_resources_and_data_sources_are_ignored if {
	removed := {"resource_changes": [
		{"address": "google_storage_bucket.it", "mode": "managed", "type": "google_storage_bucket", "change": {"after": null}},
		{"address": "data.google_storage_bucket.it", "mode": "data", "type": "google_storage_bucket", "change": {"after": {}}},
	]}
	count(names) == 0 with input as removed
}
