mock_provider "google" {}

variables {
  gcp_project         = "my-project"
  region              = "europe-west1"
  authorized_networks = { office = "203.0.113.0/24" }
  alert_emails        = ["platform@example.com"]
  image_tag           = "0.1.0"
  projects = {
    demo = { analysts = ["refeed-demo@example.com"], source_datasets = ["my-data.sales"] }
    lab  = { namespace = "laboratory", dataflow = false }
  }
}

run "required_variables" {
  command = plan

  assert {
    condition     = toset(keys(yamldecode(output.installation))) == toset(["images", "trainers", "classes", "steps", "projects", "argo", "notify"])
    error_message = "The installation file must be YAML, and have no prices by default."
  }
  assert {
    condition     = join(" ", flatten(regexall("(?m)^  \"(\\w+)\":\n    \"cpu\"", output.installation))) == "small medium large"
    error_message = "Classes must be ordered by memory."
  }
  assert {
    condition     = yamldecode(output.installation).images.worker == "europe-west1-docker.pkg.dev/my-project/refeed/worker:0.1.0"
    error_message = "Images must have the registry's prefix and the tag."
  }
  assert {
    condition = yamldecode(output.installation).argo == {
      account = "refeed-platform@my-project.iam.gserviceaccount.com"
      images  = "europe-west1-docker.pkg.dev/my-project/refeed-quay/argoproj"
    }
    error_message = "Argo must have the mirror and the server's account."
  }
  assert {
    condition = jsonencode(yamldecode(output.installation).projects.demo) == jsonencode({
      namespace = "refeed-demo"
      root      = "gs://my-project-refeed-demo"
      store     = "firestore://my-project/refeed-demo"
      staging   = "my-project.refeed_demo"
      billing   = "my-project"
      dataflow = {
        gcp_project     = "my-project"
        region          = "europe-west1"
        service_account = "refeed-demo-worker@my-project.iam.gserviceaccount.com"
        subnetwork      = "regions/europe-west1/subnetworks/refeed-dataflow"
      }
      identities = {
        split   = "refeed-demo-split@my-project.iam.gserviceaccount.com"
        train   = "refeed-demo-train@my-project.iam.gserviceaccount.com"
        collect = "refeed-demo-collect@my-project.iam.gserviceaccount.com"
      }
      analysts = ["refeed-demo@example.com"]
    })
    error_message = "The project must have all its settings."
  }
  assert {
    condition     = yamldecode(output.installation).projects.lab.namespace == "laboratory" && !can(yamldecode(output.installation).projects.lab.dataflow)
    error_message = "The project must have its own namespace and no Dataflow."
  }
  assert {
    condition = (
      yamldecode(output.installation).classes.small.node_selector == { "refeed/class" = "small" }
      && yamldecode(output.installation).classes.small.spot.tolerations[0].key == "cloud.google.com/gke-spot"
    )
    error_message = "Node selectors and tolerations must match the pools."
  }
  assert {
    condition = (
      yamldecode(output.platform).argo.identity == "refeed-platform@my-project.iam.gserviceaccount.com"
      && yamldecode(output.platform).mirrors["quay.io"] == "europe-west1-docker.pkg.dev/my-project/refeed-quay"
      && yamldecode(output.platform).analysts.demo == ["refeed-demo@example.com"]
    )
    error_message = "The output must have the values for Argo's kustomization."
  }
  assert {
    condition     = contains(keys(google_project_service.this), "containerfilesystem.googleapis.com") && !contains(keys(google_project_service.this), "billingbudgets.googleapis.com")
    error_message = "Only the APIs in use must be enabled."
  }
  assert {
    condition     = output.credentials == "gcloud container clusters get-credentials refeed --region=europe-west1 --project=my-project"
    error_message = "The output must be the gcloud command for kubectl."
  }
}

run "optional_variables" {
  command = plan

  variables {
    internet           = true
    classes            = { one = { machine_type = "e2-standard-4", cpu = "3", memory = "11Gi", internet = true }, ten = { machine_type = "e2-highmem-16", cpu = "15", memory = "110Gi", on_demand = false } }
    steps              = { check = "one", split = "one", collect = "one" }
    trainers           = ["lightgbm"]
    bigquery_location  = "EU"
    firestore_location = "eur3"
    security_group     = "gke-security-groups@example.com"
    image_pushers      = ["group:ci@example.com"]
    budget             = { billing_account = "012345-6789AB-CDEF01", project_number = "123456789", amount = 500 }
    prices             = { cpu_hour = 0.03, gib_hour = 0.004, currency = "EUR" }
    notify             = { late_after = "2h" }
  }

  assert {
    condition = (
      jsonencode(yamldecode(output.installation).prices) == jsonencode({ cpu_hour = 0.03, gib_hour = 0.004, currency = "EUR" })
      && yamldecode(output.installation).notify.late_after == "2h"
      && keys(yamldecode(output.installation).trainers) == ["lightgbm"]
    )
    error_message = "The installation file must have the prices, late_after and trainers."
  }
  assert {
    condition     = yamldecode(output.installation).classes.ten.node_selector == { "refeed/class" = "ten", "cloud.google.com/gke-spot" = "true" }
    error_message = "All pods of a class without on_demand must run on spot nodes."
  }
  assert {
    condition     = contains(keys(google_project_service.this), "billingbudgets.googleapis.com")
    error_message = "The Budget API must be enabled."
  }
}

run "auto_provisioning_without_dataflow" {
  command = plan

  variables {
    auto_provisioning = { max_cpu = 200, max_memory_gib = 800 }
    projects          = { lab = { dataflow = false } }
  }

  assert {
    condition     = length(module.dataflow) == 0
    error_message = "There must be no subnetwork for Dataflow."
  }
  assert {
    condition     = yamldecode(output.installation).classes.small.node_selector == { "refeed/class" = "small" }
    error_message = "Pods must request the same nodes with auto-provisioning."
  }
}

run "trainer_on_gpu" {
  command = plan

  variables {
    classes = {
      small  = { machine_type = "e2-standard-8", cpu = "2", memory = "8Gi" }
      medium = { machine_type = "e2-standard-8", cpu = "7", memory = "26Gi" }
      gpu    = { machine_type = "g2-standard-8", cpu = "6", memory = "20Gi", gpu = { type = "nvidia-l4" } }
    }
    trainers = ["lightgbm", "deep"]
    trainer_rules = {
      deep     = { classes = ["gpu"], defaults = { epochs = 20, optimizer = "adam" }, limits = { epochs = { max = 200 } } }
      lightgbm = { limits = { rounds = { max = 2000 } } }
    }
  }

  assert {
    condition = jsonencode(yamldecode(output.installation).trainers.deep) == jsonencode({
      classes  = ["gpu"]
      defaults = { epochs = 20, optimizer = "adam" }
      image    = "europe-west1-docker.pkg.dev/my-project/refeed/deep:${var.image_tag}"
      limits   = { epochs = { max = 200 } }
    })
    error_message = "The trainer must have its rules."
  }
  assert {
    condition     = keys(yamldecode(output.installation).trainers.lightgbm) == ["image", "limits"]
    error_message = "A trainer must have no rules of another."
  }
  assert {
    condition     = yamldecode(output.installation).classes.gpu.resources == { "nvidia.com/gpu" = 1 }
    error_message = "The class must request its GPUs."
  }
}

run "rejects_rules_of_unknown_class" {
  command = plan
  variables { trainer_rules = { lightgbm = { classes = ["huge"] } } }
  expect_failures = [var.trainer_rules]
}

run "rejects_latest_tag" {
  command = plan
  variables { image_tag = "latest" }
  expect_failures = [var.image_tag]
}

run "rejects_empty_projects" {
  command = plan
  variables { projects = {} }
  expect_failures = [var.projects]
}

run "rejects_upper_case_namespace" {
  command = plan
  variables { projects = { demo = { namespace = "Demo" } } }
  expect_failures = [var.projects]
}

run "rejects_step_in_unknown_class" {
  command = plan
  variables { steps = { split = "huge" } }
  expect_failures = [var.steps]
}

run "rejects_internet_class_without_internet" {
  command = plan
  variables { classes = { small = { machine_type = "e2-standard-4", cpu = "2", memory = "4Gi", internet = true }, medium = { machine_type = "e2-standard-8", cpu = "4", memory = "16Gi" } } }
  expect_failures = [var.internet]
}

run "rejects_overlapping_ranges" {
  command = plan
  variables { ranges = { dataflow = "10.0.2.0/24" } }
  expect_failures = [var.ranges]
}

run "rejects_duration_in_words" {
  command = plan
  variables { notify = { late_after = "6 hours" } }
  expect_failures = [var.notify]
}

run "rejects_negative_prices" {
  command = plan
  variables { prices = { cpu_hour = -1, gib_hour = 0 } }
  expect_failures = [var.prices]
}

run "rejects_empty_trainers" {
  command = plan
  variables { trainers = [] }
  expect_failures = [var.trainers]
}
