package refeed.rules.host_test

import data.refeed.fixtures
import data.refeed.rules.host

names contains refusal.rule if some refusal in host.refuse

passes if {
	count(names) == 0 with input as fixtures.deployment
	count(names) == 0 with input as fixtures.workflow_template
}

volumes := [{"name": "node", "hostPath": {"path": "/"}}]

test_no_host_path_accepts if passes

test_no_host_path_refuses if {
	every place in ["/spec/volumes", "/spec/templates/1/volumes"] {
		names == {"no-host-path"} with input as fixtures.changed(fixtures.workflow_template, place, volumes)
	}
	names == {"no-host-path"} with input as fixtures.changed(fixtures.deployment, "/spec/template/spec/volumes", volumes)
}

test_no_host_namespace_accepts if passes

test_no_host_namespace_refuses if {
	every key in ["hostNetwork", "hostPID", "hostIPC"] {
		path := sprintf("/spec/template/spec/%s", [key])
		names == {"no-host-namespace"} with input as fixtures.changed(fixtures.deployment, path, true)
	}
	names == {"no-host-namespace"} with input as fixtures.changed(fixtures.workflow_template, "/spec/hostNetwork", true)
}

test_no_host_port_accepts if {
	ports := [{"name": "web", "containerPort": 80}]
	count(names) == 0 with input as fixtures.changed(fixtures.deployment, "/spec/template/spec/containers/0/ports", ports)
}

test_no_host_port_refuses if {
	ports := [{"name": "web", "containerPort": 80, "hostPort": 80}]
	names == {"no-host-port"} with input as fixtures.changed(fixtures.deployment, "/spec/template/spec/containers/0/ports", ports)
}
