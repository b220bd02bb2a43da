output "dashboard" {
  description = "Where the dashboards of the Google Cloud project are shown; this one is named Refeed."
  value       = "https://console.cloud.google.com/monitoring/dashboards?project=${google_monitoring_dashboard.this.project}"
}
