package refeed.rules.host_test

import data.refeed.fixtures
import data.refeed.rules.host

names contains violation.rule if some violation in host.deny

passes if {
	count(names) == 0 with input as fixtures.deployment
	count(names) == 0 with input as fixtures.workflow_template
}

volumes := [{"name": "node", "hostPath": {"path": "/"}}]

test_no_host_path_allows if passes

test_no_host_path_denies if {
	every place in ["/spec/volumes", "/spec/templates/1/volumes"] {
		names == {"no-host-path"} with input as fixtures.changed(fixtures.workflow_template, place, volumes)
	}
	names == {"no-host-path"} with input as fixtures.changed(fixtures.deployment, "/spec/template/spec/volumes", volumes)
}

test_no_host_namespace_allows if passes

test_no_host_namespace_denies if {
	every key in ["hostNetwork", "hostPID", "hostIPC"] {
		path := sprintf("/spec/template/spec/%s", [key])
		names == {"no-host-namespace"} with input as fixtures.changed(fixtures.deployment, path, true)
	}
	names == {"no-host-namespace"} with input as fixtures.changed(fixtures.workflow_template, "/spec/hostNetwork", true)
}

test_no_host_port_allows if {
	ports := [{"name": "web", "containerPort": 80}]
	count(names) == 0 with input as fixtures.changed(fixtures.deployment, "/spec/template/spec/containers/0/ports", ports)
}

test_no_host_port_denies if {
	ports := [{"name": "web", "containerPort": 80, "hostPort": 80}]
	names == {"no-host-port"} with input as fixtures.changed(fixtures.deployment, "/spec/template/spec/containers/0/ports", ports)
}
