package refeed.rules.security_test

import data.refeed.fixtures
import data.refeed.rules.security

names contains violation.rule if some violation in security.deny

set_in_pod(key, value) := fixtures.changed(
	fixtures.deployment,
	sprintf("/spec/template/spec/securityContext/%s", [key]),
	value,
)

set_in_container(key, value) := fixtures.changed(
	fixtures.deployment,
	sprintf("/spec/template/spec/containers/0/securityContext/%s", [key]),
	value,
)

passes if {
	count(names) == 0 with input as fixtures.deployment
	count(names) == 0 with input as fixtures.workflow_template
}

test_run_as_non_root_allows if passes

test_run_as_non_root_allows_container_setting if {
	bare := fixtures.without(set_in_container("runAsNonRoot", true), "/spec/template/spec/securityContext/runAsNonRoot")
	count(names) == 0 with input as bare
}

test_run_as_non_root_denies if {
	every wrong in [
		set_in_pod("runAsNonRoot", false),
		set_in_pod("runAsUser", 0),
		set_in_container("runAsNonRoot", false),
		set_in_container("runAsUser", 0),
		fixtures.without(fixtures.deployment, "/spec/template/spec/securityContext/runAsNonRoot"),
		fixtures.without(fixtures.workflow_template, "/spec/securityContext/runAsNonRoot"),
		fixtures.changed(fixtures.workflow_template, "/spec/templates/1/securityContext", {"runAsNonRoot": false}),
	] {
		"run-as-non-root" in names with input as wrong
	}
}

test_seccomp_default_allows if passes

test_seccomp_default_denies if {
	every wrong in [
		set_in_pod("seccompProfile", {"type": "Unconfined"}),
		set_in_container("seccompProfile", {"type": "Unconfined"}),
		fixtures.without(fixtures.workflow_template, "/spec/securityContext"),
	] {
		"seccomp-default" in names with input as wrong
	}
}

test_read_only_root_allows if passes

test_read_only_root_denies if names == {"read-only-root"} with input as set_in_container("readOnlyRootFilesystem", false)

test_no_privilege_escalation_allows if passes

test_no_privilege_escalation_denies if {
	names == {"no-privilege-escalation"} with input as set_in_container("allowPrivilegeEscalation", true)
}

test_not_privileged_allows if passes

test_not_privileged_denies if names == {"not-privileged"} with input as set_in_container("privileged", true)

test_capabilities_dropped_allows if passes

test_capabilities_dropped_denies if {
	every wrong in [{}, {"drop": ["NET_RAW"]}, {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}] {
		names == {"capabilities-dropped"} with input as set_in_container("capabilities", wrong)
	}
}
