package refeed.rules.rbac_test

import data.refeed.fixtures
import data.refeed.rules.rbac

names contains violation.rule if some violation in rbac.deny

passes if {
	every thing in [fixtures.role, fixtures.binding, fixtures.cluster_binding] {
		count(names) == 0 with input as thing with data.policy as fixtures.policy
	}
}

test_rbac_no_wildcard_allows if passes

test_rbac_no_wildcard_denies if {
	every key in ["apiGroups", "resources", "verbs", "nonResourceURLs"] {
		wrong := fixtures.changed(fixtures.role, sprintf("/rules/0/%s", [key]), ["*"])
		names == {"rbac-no-wildcard"} with input as wrong with data.policy as fixtures.policy
	}
}

test_rbac_no_escalation_allows if passes

test_rbac_no_escalation_denies if {
	every verb in ["escalate", "bind", "impersonate"] {
		wrong := fixtures.changed(fixtures.role, "/rules/0/verbs", ["get", verb])
		names == {"rbac-no-escalation"} with input as wrong with data.policy as fixtures.policy
	}
}

test_rbac_cluster_binding_allows if passes

test_rbac_cluster_binding_denies if {
	wrong := fixtures.changed(fixtures.cluster_binding, "/metadata/name", "other")
	names == {"rbac-cluster-binding"} with input as wrong with data.policy as fixtures.policy
}

test_rbac_cluster_role_allows if {
	passes
	own := fixtures.changed(fixtures.binding, "/roleRef", {"kind": "Role", "name": "anything"})
	count(names) == 0 with input as own with data.policy as fixtures.policy
}

test_rbac_cluster_role_denies if {
	wrong := fixtures.changed(fixtures.binding, "/roleRef/name", "admin")
	names == {"rbac-cluster-role"} with input as wrong with data.policy as fixtures.policy
}

test_rbac_subject_allows if {
	passes
	every name in ["analysts@example.com", "default"] {
		people := fixtures.changed(fixtures.binding, "/subjects/0", {"kind": "Group", "name": name})
		count(names) == 0 with input as people with data.policy as fixtures.policy
	}
}

test_rbac_subject_denies if {
	every subject in [
		{"kind": "ServiceAccount", "name": "default", "namespace": "demo"},
		{"kind": "ServiceAccount", "name": "refeed-analyst", "namespace": "lab"},
		{"kind": "Group", "name": "system:authenticated"},
		{"kind": "Group", "name": "system:serviceaccounts:demo"},
		{"kind": "User", "name": "system:anonymous"},
	] {
		wrong := fixtures.changed(fixtures.binding, "/subjects/0", subject)
		names == {"rbac-subject"} with input as wrong with data.policy as fixtures.policy
	}
}
