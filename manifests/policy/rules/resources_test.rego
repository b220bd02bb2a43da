package refeed.rules.resources_test

import data.refeed.fixtures
import data.refeed.rules.resources

fields contains violation.field if some violation in resources.deny

test_resources_set_allows if {
	count(fields) == 0 with input as fixtures.deployment
	count(fields) == 0 with input as fixtures.workflow_template
}

test_resources_set_denies if {
	every amount in ["requests/cpu", "requests/memory", "limits/cpu", "limits/memory"] {
		path := sprintf("/spec/template/spec/containers/0/resources/%s", [amount])
		field := sprintf("spec.template.spec.containers[main].resources.%s", [replace(amount, "/", ".")])
		fields == {field} with input as fixtures.without(fixtures.deployment, path)
		fields == {field} with input as fixtures.changed(fixtures.deployment, path, "0")
	}
	count(fields) == 6 with input as fixtures.without(fixtures.workflow_template, "/spec/templates/1/container/resources")
}

test_disk_set_allows if {
	count(fields) == 0 with input as fixtures.without(fixtures.deployment, "/spec/template/spec/containers/0/resources/limits/ephemeral-storage")
	limited := {"op": "add", "path": "/spec/templates/1/volumes", "value": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]}
	count(fields) == 0 with input as json.patch(fixtures.workflow_template, [limited])
}

test_disk_set_denies if {
	every kind in ["requests", "limits"] {
		path := sprintf("/spec/templates/1/container/resources/%s/ephemeral-storage", [kind])
		count(fields) == 1 with input as fixtures.without(fixtures.workflow_template, path)
	}
	unlimited := {"op": "add", "path": "/spec/templates/1/volumes", "value": [{"name": "tmp", "emptyDir": {}}]}
	count(fields) == 1 with input as json.patch(fixtures.workflow_template, [unlimited])
}
