locals {
  # The exit handler runs if a run fails or takes longer than the installation's `notify.late_after`. Its first log
  # line is "Run PROJECT/EXPERIMENT RUN failed." or "... took 7.3 h." (workflows/pods/finish.py). GKE may keep the
  # newline at the end of the line.
  finish = join("\n", [
    "resource.type=\"k8s_container\"",
    "resource.labels.cluster_name=\"${var.cluster}\"",
    "resource.labels.namespace_name=(${join(" OR ", [for namespace in sort(values(var.namespaces)) : "\"${namespace}\""])})",
    "resource.labels.container_name=\"main\"",
    "labels.\"k8s-pod/refeed/step\"=\"finish\"",
  ])

  outcomes = {
    failed = {
      filter        = "textPayload=~\"^Run [^ ]+/[^ ]+ [^ ]+ failed[.][[:space:]]*$\""
      documentation = <<-EOT
        A run failed or was stopped.

        `refeed status RUN` shows the cause and what to do. `refeed logs RUN` shows the logs of the steps. After you
        fix the cause, `refeed retry RUN` resumes the run and keeps finished work.
      EOT
    }
    late = {
      filter        = "textPayload=~\"^Run [^ ]+/[^ ]+ [^ ]+ took [0-9.]+ h[.][[:space:]]*$\""
      documentation = <<-EOT
        A run succeeded, but took longer than the installation's `notify.late_after`.

        `refeed status RUN` shows how many pods were lost or retried. Common causes: few spot machines were available
        (see the nodes on the dashboard), the project used up its quota, or the table has grown.
      EOT
    }
  }

  labels = {
    project    = "REGEXP_EXTRACT(textPayload, \"^Run ([^/ ]+)/\")"
    experiment = "REGEXP_EXTRACT(textPayload, \"^Run [^/ ]+/([^ ]+) \")"
    run        = "REGEXP_EXTRACT(textPayload, \"^Run [^ ]+ ([^ ]+) \")"
  }

  channels = [for channel in google_monitoring_notification_channel.email : channel.id]
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.emails

  project      = var.gcp_project
  display_name = "Refeed: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
}

resource "google_logging_metric" "runs" {
  for_each = local.outcomes

  project     = var.gcp_project
  name        = "refeed/runs_${each.key}"
  description = "The number of ${each.key} runs, by project and experiment."
  filter      = "${local.finish}\n${each.value.filter}"

  # Do not label the metric with the run ID: each run would create a new time series.
  label_extractors = { for key, extractor in local.labels : key => extractor if key != "run" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key         = "project"
      value_type  = "STRING"
      description = "The Refeed project."
    }

    labels {
      key         = "experiment"
      value_type  = "STRING"
      description = "The experiment's name."
    }
  }
}

# Alert on the log instead of the metrics above: a log match includes the run ID and needs no earlier data point.
resource "google_monitoring_alert_policy" "runs" {
  for_each = local.outcomes

  project               = var.gcp_project
  display_name          = "Refeed: a run ${each.key == "late" ? "was late" : each.key}"
  combiner              = "OR"
  severity              = each.key == "late" ? "WARNING" : "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "The exit handler reported it"

    condition_matched_log {
      filter           = "${local.finish}\n${each.value.filter}"
      label_extractors = local.labels
    }
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit { # avoid one notification per run if many runs fail at once
      period = "900s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value.documentation
  }
}

resource "google_monitoring_alert_policy" "silent" {
  project               = var.gcp_project
  display_name          = "Refeed: Argo's controller is silent"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels

  conditions {
    display_name = "No data from the controller for ${var.silent_minutes} minutes"

    condition_absent {
      duration = "${var.silent_minutes * 60}s"
      filter = join(" AND ", [
        "resource.type = \"k8s_container\"",
        "resource.labels.cluster_name = \"${var.cluster}\"",
        "resource.labels.namespace_name = \"${var.argo_namespace}\"",
        "resource.labels.container_name = \"workflow-controller\"",
        "metric.type = \"kubernetes.io/container/uptime\"",
      ])

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_MEAN"
        cross_series_reducer = "REDUCE_COUNT"
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    mime_type = "text/markdown"
    content   = <<-EOT
      While Argo's controller is down, no workflow is scheduled, started or completed, and the run alerts do not fire.

      Run `kubectl -n ${var.argo_namespace} get pods`, then `describe` and `logs` of workflow-controller. Runs resume when the
      controller is back. It starts the latest run that a schedule missed if less than an hour has passed.
    EOT
  }
}

resource "google_billing_budget" "this" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "Refeed: ${var.gcp_project}"

  budget_filter {
    projects        = ["projects/${var.budget.project_number}"]
    calendar_period = "MONTH"
  }

  amount {
    specified_amount {
      units         = tostring(var.budget.amount)
      currency_code = var.budget.currency
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]

    content {
      threshold_percent = threshold_rules.value
      spend_basis       = "CURRENT_SPEND"
    }
  }

  threshold_rules { # forecast: alert before the money is spent
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    monitoring_notification_channels = slice(local.channels, 0, min(5, length(local.channels))) # a budget accepts at most five channels
  }
}
