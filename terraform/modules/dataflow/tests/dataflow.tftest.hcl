mock_provider "google" {}

variables {
  gcp_project  = "my-project"
  region       = "europe-west1"
  network      = "projects/my-project/global/networks/refeed"
  google_range = "199.36.153.8/30"
}

run "defaults" {
  command = plan

  assert {
    condition     = google_compute_subnetwork.workers.private_ip_google_access && length(google_compute_subnetwork.workers.log_config) == 0
    error_message = "Workers without public addresses must reach Google APIs."
  }
  assert {
    condition = (
      google_compute_firewall.between_workers.source_tags == toset(["dataflow"])
      && google_compute_firewall.between_workers.target_tags == toset(["dataflow"])
      && one(google_compute_firewall.between_workers.allow).ports == tolist(["12345-12346"])
    )
    error_message = "Workers must accept connections from each other only."
  }
  assert {
    condition = (
      google_compute_firewall.closed.target_tags == toset(["dataflow"])
      && one(google_compute_firewall.closed.deny).protocol == "all"
      && google_compute_firewall.closed.priority > google_compute_firewall.to_google_and_workers.priority
      && google_compute_firewall.to_google_and_workers.destination_ranges == toset(["199.36.153.8/30", "10.0.8.0/22"])
    )
    error_message = "Workers must reach only Google APIs and each other."
  }
  assert {
    condition = output.place == {
      gcp_project = "my-project", region = "europe-west1", subnetwork = "regions/europe-west1/subnetworks/refeed-dataflow"
    }
    error_message = "The output must match the installation file's format."
  }
}

run "flow_logs" {
  command = plan
  variables { flow_log_sampling = 0.5 }

  assert {
    condition     = google_compute_subnetwork.workers.log_config[0].flow_sampling == 0.5
    error_message = "Flow logs must use the given sampling."
  }
}

run "rejects_zone" {
  command = plan
  variables { region = "europe-west1-b" }
  expect_failures = [var.region]
}

run "rejects_range_with_host_bits" {
  command = plan
  variables { range = "10.0.9.1/22" }
  expect_failures = [var.range]
}

run "rejects_small_range" {
  command = plan
  variables { range = "10.0.8.0/29" }
  expect_failures = [var.range]
}

run "rejects_sampling_in_percent" {
  command = plan
  variables { flow_log_sampling = 50 }
  expect_failures = [var.flow_log_sampling]
}

run "rejects_upper_case_name" {
  command = plan
  variables { name = "Refeed" }
  expect_failures = [var.name]
}
