# terraform.tfvars.example with all options that grant roles, and a second project with the defaults and no Dataflow.
gcp_project         = "my-project"
region              = "europe-west1"
authorized_networks = { office = "203.0.113.0/24" }
alert_emails        = ["platform@example.com"]
image_tag           = "0.1.0"
image_pushers       = ["group:ci@example.com"]
internet            = true
security_group      = "gke-security-groups@example.com"
budget              = { billing_account = "012345-6789AB-CDEF01", project_number = "123456789", amount = 500 }
prices              = { cpu_hour = 0.031, gib_hour = 0.0042 }
projects = {
  demo = {
    analysts        = ["refeed-demo@example.com"]
    source_datasets = ["my-data.sales"]
    source_buckets  = ["my-files"]
    uploads         = true
  }
  lab = { dataflow = false }
}
