mock_provider "google" {}

variables {
  gcp_project = "my-project"
  cluster     = "refeed"
  namespaces  = { demo = "refeed-demo", lab = "refeed-lab" }
  emails      = ["platform@example.com"]
}

run "defaults" {
  command = plan

  assert {
    condition = (
      google_monitoring_notification_channel.email["platform@example.com"].type == "email"
      && google_monitoring_notification_channel.email["platform@example.com"].labels.email_address == "platform@example.com"
    )
    error_message = "Alerts must have an email channel."
  }
  assert {
    condition = alltrue([
      for outcome, policy in google_monitoring_alert_policy.runs :
      policy.conditions[0].condition_matched_log[0].filter == google_logging_metric.runs[outcome].filter
      && strcontains(policy.conditions[0].condition_matched_log[0].filter, "labels.\"k8s-pod/refeed/step\"=\"finish\"")
      && strcontains(policy.conditions[0].condition_matched_log[0].filter, "namespace_name=(\"refeed-demo\" OR \"refeed-lab\")")
      && toset(keys(policy.conditions[0].condition_matched_log[0].label_extractors)) == toset(["project", "experiment", "run"])
      && policy.alert_strategy[0].notification_rate_limit[0].period == "900s"
    ]) && toset(keys(google_monitoring_alert_policy.runs)) == toset(["failed", "late"])
    error_message = "Alerts of failed and late runs must include the run."
  }
  assert { # the log line of workflows/pods/finish.py
    condition = alltrue([
      can(regex(regex("=~\"(.*)\"$", local.outcomes.failed.filter)[0], "Run demo/flights-arrival-delay 20261124T041144-04fc failed.")),
      !can(regex(regex("=~\"(.*)\"$", local.outcomes.failed.filter)[0], "Run demo/flights-arrival-delay 20261124T041144-04fc took 7.3 h.")),
      can(regex(regex("=~\"(.*)\"$", local.outcomes.late.filter)[0], "Run demo/flights-arrival-delay 20261124T041144-04fc took 7.3 h.")),
      !can(regex(regex("=~\"(.*)\"$", local.outcomes.late.filter)[0], "Report: gs://my-project-refeed-demo/report.html")),
    ])
    error_message = "The filters must match the exit handler's log lines."
  }
  assert {
    condition     = alltrue([for metric in google_logging_metric.runs : toset(keys(metric.label_extractors)) == toset(["project", "experiment"])])
    error_message = "Metrics must not be labelled with the run."
  }
  assert {
    condition = (
      google_monitoring_alert_policy.silent.conditions[0].condition_absent[0].duration == "1200s"
      && strcontains(google_monitoring_alert_policy.silent.conditions[0].condition_absent[0].filter, "\"workflow-controller\"")
    )
    error_message = "An alert must fire if the controller sends no data."
  }
  assert {
    condition     = length(google_billing_budget.this) == 0
    error_message = "There must be no budget without a billing account."
  }
  assert {
    condition = (
      jsondecode(google_monitoring_dashboard.this.dashboard_json).displayName == "Refeed"
      && length(jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles) == 8
    )
    error_message = "The dashboard must have eight tiles."
  }
}

run "budget" {
  command = plan
  variables {
    budget         = { billing_account = "012345-6789AB-CDEF01", project_number = "123456789", amount = 500, currency = "EUR" }
    emails         = ["a@example.com", "b@example.com"]
    silent_minutes = 60
    argo_namespace = "workflows"
  }

  assert {
    condition = (
      google_billing_budget.this[0].amount[0].specified_amount[0].units == "500"
      && google_billing_budget.this[0].amount[0].specified_amount[0].currency_code == "EUR"
      && google_billing_budget.this[0].budget_filter[0].projects == toset(["projects/123456789"])
    )
    error_message = "The budget must apply to the project."
  }
  assert {
    condition = [for rule in google_billing_budget.this[0].threshold_rules : "${rule.threshold_percent} ${rule.spend_basis}"] == [
      "0.5 CURRENT_SPEND", "0.9 CURRENT_SPEND", "1 CURRENT_SPEND", "1 FORECASTED_SPEND",
    ]
    error_message = "The budget must have three spend thresholds and a forecast threshold."
  }
  assert {
    condition     = length(google_monitoring_notification_channel.email) == 2
    error_message = "Each address must have a channel."
  }
  assert {
    condition     = google_monitoring_alert_policy.silent.conditions[0].condition_absent[0].duration == "3600s" && strcontains(google_monitoring_alert_policy.silent.conditions[0].condition_absent[0].filter, "\"workflows\"")
    error_message = "The alert must use the given namespace and duration."
  }
}

run "rejects_empty_emails" {
  command = plan
  variables { emails = [] }
  expect_failures = [var.emails]
}

run "rejects_empty_namespaces" {
  command = plan
  variables { namespaces = {} }
  expect_failures = [var.namespaces]
}

run "rejects_long_silence" {
  command = plan
  variables { silent_minutes = 2000 }
  expect_failures = [var.silent_minutes]
}

run "rejects_malformed_billing_account" {
  command = plan
  variables { budget = { billing_account = "my-account", project_number = "123456789", amount = 500 } }
  expect_failures = [var.budget]
}

run "rejects_project_id_as_number" {
  command = plan
  variables { budget = { billing_account = "012345-6789AB-CDEF01", project_number = "my-project", amount = 500 } }
  expect_failures = [var.budget]
}

run "rejects_zero_budget" {
  command = plan
  variables { budget = { billing_account = "012345-6789AB-CDEF01", project_number = "123456789", amount = 0 } }
  expect_failures = [var.budget]
}
