package refeed.rules.terraform_protection_test

import data.refeed.fixtures
import data.refeed.rules.terraform_protection

names contains violation.rule if some violation in terraform_protection.deny

test_deletion_protected_allows if {
	every good in [
		["google_container_cluster", {"deletion_protection": true}],
		["google_firestore_database", {"delete_protection_state": "DELETE_PROTECTION_ENABLED"}],
		["google_storage_bucket", {"force_destroy": false}],
		["google_storage_bucket", {"force_destroy": null}],
		["google_compute_network", {}],
	] {
		count(names) == 0 with input as fixtures.plan(good[0], good[1])
	}
}

test_deletion_protected_denies if {
	every wrong in [
		["google_container_cluster", {"deletion_protection": false}],
		["google_firestore_database", {"delete_protection_state": "DELETE_PROTECTION_DISABLED"}],
		["google_firestore_database", {}],
		["google_storage_bucket", {"force_destroy": true}],
		["google_bigquery_table", {"deletion_protection": false}],
	] {
		names == {"deletion-protected"} with input as fixtures.plan(wrong[0], wrong[1])
	}
}
