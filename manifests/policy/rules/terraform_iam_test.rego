package refeed.rules.terraform_iam_test

import data.refeed.fixtures
import data.refeed.rules.terraform_iam

names contains violation.rule if some violation in terraform_iam.deny

member := {"role": "roles/storage.objectViewer", "member": "serviceAccount:split@example.iam.gserviceaccount.com"}

policy(role, who) := {"policy_data": json.marshal({"bindings": [{"role": role, "members": [who]}]})}

passes if {
	count(names) == 0 with input as fixtures.plan("google_storage_bucket_iam_member", member)
	good := policy("roles/storage.objectViewer", "group:analysts@example.com")
	count(names) == 0 with input as fixtures.plan("google_project_iam_policy", good)
	owner := {"access": [{"role": "OWNER", "special_group": "projectOwners"}]}
	count(names) == 0 with input as fixtures.plan("google_bigquery_dataset", owner)
}

test_iam_not_public_allows if passes

test_iam_not_public_denies if {
	every wrong in [
		["google_storage_bucket_iam_member", fixtures.changed(member, "/member", "allUsers")],
		["google_cloud_run_v2_service_iam_binding", {"role": "roles/run.invoker", "members": ["allAuthenticatedUsers"]}],
		["google_storage_bucket_iam_policy", policy("roles/storage.objectViewer", "allUsers")],
		["google_storage_bucket_access_control", {"role": "READER", "entity": "allUsers"}],
		["google_storage_bucket_acl", {"role_entity": ["READER:allAuthenticatedUsers"]}],
		["google_bigquery_dataset_access", {"role": "READER", "special_group": "allAuthenticatedUsers"}],
		["google_bigquery_dataset", {"access": [{"role": "READER", "special_group": "allAuthenticatedUsers"}]}],
	] {
		names == {"iam-not-public"} with input as fixtures.plan(wrong[0], wrong[1])
	}
}

test_iam_no_primitive_role_allows if passes

test_iam_no_primitive_role_denies if {
	every role in ["roles/owner", "roles/editor", "roles/viewer"] {
		granted := fixtures.changed(member, "/role", role)
		names == {"iam-no-primitive-role"} with input as fixtures.plan("google_project_iam_member", granted)
	}
	whole := policy("roles/editor", "group:analysts@example.com")
	names == {"iam-no-primitive-role"} with input as fixtures.plan("google_project_iam_policy", whole)
}
