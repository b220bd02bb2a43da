package refeed.rules.labels_test

import data.refeed.fixtures
import data.refeed.rules.labels

names contains violation.rule if some violation in labels.deny

passes if {
	every thing in [fixtures.workflow_template, fixtures.cron_workflow, fixtures.deployment, fixtures.role] {
		count(names) == 0 with input as thing with data.policy as fixtures.policy
	}
}

test_label_part_of_allows if passes

test_label_part_of_denies if {
	every labels in [{}, {"app.kubernetes.io/part-of": "other"}] {
		wrong := fixtures.changed(fixtures.namespace, "/metadata/labels", labels)
		names == {"label-part-of"} with input as wrong with data.policy as fixtures.policy
	}
}

test_label_experiment_allows if passes

test_label_experiment_denies if {
	every place in ["/metadata/labels", "/spec/workflowMetadata/labels"] {
		every key in ["refeed~1project", "refeed~1experiment", "refeed~1spec"] {
			wrong := fixtures.without(fixtures.workflow_template, sprintf("%s/%s", [place, key]))
			names == {"label-experiment"} with input as wrong with data.policy as fixtures.policy
		}
	}
}

test_label_step_allows if passes

test_label_step_denies if {
	every key in ["refeed~1step", "refeed~1class"] {
		path := sprintf("/spec/templates/1/metadata/labels/%s", [key])
		wrong := fixtures.without(fixtures.workflow_template, path)
		names == {"label-step"} with input as wrong with data.policy as fixtures.policy
	}
}
