locals {
  # The exit handler runs when a run failed or took longer than the installation's `notify.late_after`, and
  # begins its log with "Run PROJECT/EXPERIMENT RUN failed." or "... took 7.3 h." (workflows/pods/finish.py). GKE may leave the
  # line's end in it.
  finish = join("\n", [
    "resource.type=\"k8s_container\"",
    "resource.labels.cluster_name=\"${var.cluster}\"",
    "resource.labels.namespace_name=(${join(" OR ", [for namespace in sort(values(var.namespaces)) : "\"${namespace}\""])})",
    "resource.labels.container_name=\"main\"",
    "labels.\"k8s-pod/refeed/step\"=\"finish\"",
  ])

  outcomes = {
    failed = {
      says = "textPayload=~\"^Run [^ ]+/[^ ]+ [^ ]+ failed[.][[:space:]]*$\""
      text = <<-EOT
        A run failed, or somebody stopped it.

        `refeed status RUN` says why and what to do, `refeed logs RUN` what the steps logged. After the cause is
        gone `refeed retry RUN` goes on: what is finished is kept.
      EOT
    }
    late = {
      says = "textPayload=~\"^Run [^ ]+/[^ ]+ [^ ]+ took [0-9.]+ h[.][[:space:]]*$\""
      text = <<-EOT
        A run ended well, but took longer than the installation's `notify.late_after`.

        `refeed status RUN` says how many pods were lost or tried again. Often: spot machines were scarce (the dashboard's
        nodes by pool), the project's quota was used up, or the table has grown.
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
  description = "Runs that were ${each.key}, by project and experiment."
  filter      = "${local.finish}\n${each.value.says}"

  # A run's id is no label of a metric: each would be a series for ever.
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

# These match the log rather than the metrics above: they name the run, and do not wait for a first value.
resource "google_monitoring_alert_policy" "runs" {
  for_each = local.outcomes

  project               = var.gcp_project
  display_name          = "Refeed: a run ${each.key == "late" ? "was late" : each.key}"
  combiner              = "OR"
  severity              = each.key == "late" ? "WARNING" : "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "The exit handler says so"

    condition_matched_log {
      filter           = "${local.finish}\n${each.value.says}"
      label_extractors = local.labels
    }
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit { # of a night in which everything fails, not a message for each
      period = "900s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value.text
  }
}

resource "google_monitoring_alert_policy" "silent" {
  project               = var.gcp_project
  display_name          = "Refeed: Argo's controller is silent"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels

  conditions {
    display_name = "No sign of the controller for ${var.silent_minutes} minutes"

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
      Nothing is scheduled, started or ended while Argo's controller is away, and the alerts about runs are silent too.

      `kubectl -n ${var.argo_namespace} get pods`, then `describe` and `logs` of workflow-controller. Runs go on where they were
      when it is back; schedules that were missed for less than an hour are made up for.
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

  threshold_rules { # before it is spent
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    monitoring_notification_channels = slice(local.channels, 0, min(5, length(local.channels))) # more, a budget does not take
  }
}
