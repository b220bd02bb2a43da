package refeed.rules.accounts_test

import data.refeed.fixtures
import data.refeed.rules.accounts

names contains violation.rule if some violation in accounts.deny

passes if {
	count(names) == 0 with input as fixtures.deployment
	count(names) == 0 with input as fixtures.workflow_template
	count(names) == 0 with input as fixtures.cron_workflow
}

template := fixtures.workflow_template

test_account_named_allows if passes

test_account_named_allows_account_of_template if {
	own := fixtures.changed(template, "/spec/templates/1/serviceAccountName", "refeed-split")
	count(names) == 0 with input as fixtures.without(own, "/spec/serviceAccountName")
}

test_account_named_denies if {
	every wrong in [
		fixtures.without(fixtures.deployment, "/spec/template/spec/serviceAccountName"),
		fixtures.without(template, "/spec/serviceAccountName"),
		fixtures.changed(template, "/spec/templates/1/serviceAccountName", "default"),
	] {
		names == {"account-named"} with input as wrong
	}
}

test_workflow_without_token_allows if passes

test_workflow_without_token_denies if {
	every wrong in [
		fixtures.without(template, "/spec/automountServiceAccountToken"),
		fixtures.changed(template, "/spec/templates/1/automountServiceAccountToken", true),
	] {
		names == {"workflow-without-token"} with input as wrong
	}
}

test_executor_account_allows if passes

test_executor_account_denies if {
	names == {"executor-account"} with input as fixtures.without(template, "/spec/executor")
	names == {"executor-account"} with input as fixtures.changed(template, "/spec/executor/serviceAccountName", "default")
}
