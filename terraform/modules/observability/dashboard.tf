locals {
  tiles = concat(
    [
      for outcome in sort(keys(local.outcomes)) : {
        title = "Runs that were ${outcome}, by project"
        xyChart = {
          dataSets = [{
            plotType       = "STACKED_BAR"
            legendTemplate = "$${metric.labels.project}"
            timeSeriesQuery = {
              timeSeriesFilter = {
                filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.runs[outcome].name}\" resource.type=\"k8s_container\""
                aggregation = {
                  alignmentPeriod    = "3600s"
                  perSeriesAligner   = "ALIGN_SUM"
                  crossSeriesReducer = "REDUCE_SUM"
                  groupByFields      = ["metric.label.project"]
                }
              }
            }
          }]
        }
      }
    ],
    [
      for title, query in {
        "Partitions of the latest run, by experiment and status" = "max by (project, experiment, status) (argo_workflows_refeed_partitions{cluster=\"${var.cluster}\"})"
        "Duration of the latest run in hours, by experiment"     = "max by (project, experiment) (argo_workflows_refeed_run_seconds{cluster=\"${var.cluster}\"}) / 3600"
        "Pods that ended early, by cause"                        = "sum by (cause) (increase(argo_workflows_refeed_pods_ended_total{cluster=\"${var.cluster}\"}[1h]))"
        "Pods, by namespace"                                     = "count by (namespace_name) (avg_over_time(kubernetes_io:container_uptime{monitored_resource=\"k8s_container\",cluster_name=\"${var.cluster}\",container_name=\"main\",namespace_name=~\"${join("|", sort(values(var.namespaces)))}\"}[5m]))"
        "Nodes"                                                  = "count(avg_over_time(kubernetes_io:node_cpu_allocatable_cores{monitored_resource=\"k8s_node\",cluster_name=\"${var.cluster}\"}[5m]))"
        } : {
        title = title
        xyChart = {
          dataSets = [{
            plotType        = "LINE"
            timeSeriesQuery = { prometheusQuery = query }
          }]
        }
      }
    ],
    [{
      title     = "Exit handler logs"
      logsPanel = { filter = local.finish, resourceNames = ["projects/${var.gcp_project}"] }
    }],
  )
}

resource "google_monitoring_dashboard" "this" {
  project = var.gcp_project
  dashboard_json = jsonencode({
    displayName = "Refeed"
    mosaicLayout = {
      columns = 48
      tiles = [
        for i, tile in local.tiles : { xPos = 24 * (i % 2), yPos = 16 * floor(i / 2), width = 24, height = 16, widget = tile }
      ]
    }
  })
}
